package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"stacyvm/native/internal/egress/addresses"
	"stacyvm/native/internal/egresswire"
)

// Rule is a rule as the server sends it: a host or a network, and ports.
type Rule struct {
	// Text is the rule as it was written.
	Text string `json:"text"`
	// Host is a name, or *. and a name for everything below it.
	Host string `json:"host,omitempty"`
	CIDR string `json:"cidr,omitempty"`
	// Ports are ranges, first and last; none means every port.
	Ports [][]int `json:"ports,omitempty"`
	// Inspect: what goes to the host is read, request by request.
	Inspect bool `json:"inspect,omitempty"`
	// Methods and Paths narrow the requests that an inspecting rule is for; none means every one.
	Methods []string `json:"methods,omitempty"`
	Paths   []string `json:"paths,omitempty"`
}

// rule is a Rule that was read.
type rule struct {
	text string
	// host is compared whole, below is what a name must end in, network is for addresses; one of them is set.
	host    string
	below   string
	network netip.Prefix
	ports   addresses.Ports
	// inspect, methods and paths are for requests to the host.
	inspect bool
	methods []string
	paths   []string
}

func read(from Rule) (rule, error) {
	ports, err := Ports(from.Ports)
	if err != nil {
		return rule{}, fmt.Errorf("ports%w", err)
	}
	if err := checkRequests(from); err != nil {
		return rule{}, err
	}
	read := rule{text: from.Text, ports: ports, inspect: from.Inspect, methods: from.Methods, paths: from.Paths}
	switch {
	case (from.Host == "") == (from.CIDR == ""):
		return rule{}, errors.New("names a host or a cidr, one of them")
	case from.CIDR != "":
		read.network, err = Network(from.CIDR)
		if err != nil {
			return rule{}, fmt.Errorf("cidr: %w", err)
		}
		return read, nil
	}
	bare, isWild := strings.CutPrefix(from.Host, "*.")
	name, ok := egresswire.Name(bare)
	if !ok || egresswire.IsNumeric(name) {
		return rule{}, fmt.Errorf("host: %q is no name", from.Host)
	}
	if isWild {
		read.below = "." + name
	} else {
		read.host = name
	}
	return read, nil
}

// Network reads a CIDR; bits behind its length are let be.
func Network(cidr string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(cidr)
	if err != nil {
		return network, fmt.Errorf("%q is no network", cidr)
	}
	if network.Addr().Is4In6() {
		return network, fmt.Errorf("%q is an IPv4 network in IPv6's spelling; write it in its own", cidr)
	}
	return network.Masked(), nil
}

// Ports reads ranges of ports.
func Ports(ranges [][]int) (addresses.Ports, error) {
	pairs := make([][2]int, len(ranges))
	for i, span := range ranges {
		if len(span) != 2 {
			return nil, fmt.Errorf("[%d]: a range has a first and a last port", i)
		}
		pairs[i] = [2]int(span)
	}
	return addresses.CheckPorts(pairs)
}

func (r *rule) hasHost(host string) bool {
	// A name has no empty label: what ends in .example.com has something before it.
	return r.host != "" && r.host == host || r.below != "" && strings.HasSuffix(host, r.below)
}

func (r *rule) hasAddress(address netip.Addr) bool {
	return r.network.IsValid() && r.network.Contains(address.Unmap())
}
