// Package addresses says which addresses no sandbox ever reaches, whatever a policy allows: those of this host and of
// the networks it stands in. Only the operator opens one of them, by an exact network and port.
package addresses

import (
	"fmt"
	"net/netip"
	"slices"
)

// denied are the always-denied ranges. Documentation ranges aren't among them: nothing answers there.
var denied = prefixes(
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // carrier-grade NAT, a cloud's metadata at 100.100.100.200
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // a cloud's wire server
	"169.254.0.0/16",   // link-local, metadata
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // protocol assignments, a cloud's metadata at 192.0.0.192
	"192.88.99.0/24",   // relays of 6to4
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // benchmarks; the addresses that names have in sandboxes
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, broadcast
	"::/96",            // unspecified, loopback, v4-compatible
	"::ffff:0:0/96",    // v4-mapped
	"::ffff:0:0:0/96",  // v4-translated (SIIT)
	"64:ff9b::/96",     // NAT64
	"64:ff9b:1::/48",   // NAT64 of a site
	"100::/64",         // discard
	"2001::/32",        // Teredo
	"2002::/16",        // 6to4
	"5f00::/16",        // segment routing
	"fc00::/7",         // unique local, metadata at fd00:ec2::254
	"fe80::/10",        // link-local
	"fec0::/10",        // site-local
	"ff00::/8",         // multicast
)

func prefixes(texts ...string) []netip.Prefix {
	found := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		found[i] = netip.MustParsePrefix(text)
	}
	return found
}

// Opening is what the operator opened of the always-denied ranges: a network's ports, every one if there are none.
type Opening struct {
	Network netip.Prefix
	Ports   Ports
}

// Ports are ranges, first and last; none means every port.
type Ports [][2]uint16

// Has tells whether a port is among them.
func (p Ports) Has(port uint16) bool {
	for _, span := range p {
		if span[0] <= port && port <= span[1] {
			return true
		}
	}
	return len(p) == 0
}

// CheckPorts refuses ranges that are none.
func CheckPorts(ports [][2]int) (Ports, error) {
	var checked Ports
	for i, span := range ports {
		if span[0] < 1 || span[1] > 65_535 || span[0] > span[1] {
			return nil, fmt.Errorf("[%d]: %d-%d is no range of ports", i, span[0], span[1])
		}
		checked = append(checked, [2]uint16{uint16(span[0]), uint16(span[1])})
	}
	return checked, nil
}

// Table is the always-denied ranges, this host's own addresses, and what the operator opened of both.
type Table struct {
	host     *Host
	openings []Opening
}

// NewTable returns a table over a host's own addresses.
func NewTable(host *Host, openings []Opening) *Table {
	return &Table{host: host, openings: openings}
}

// Denies tells whether nobody may connect to an address and port. An address that stands for another one, as v4-mapped,
// NAT64, 6to4 and Teredo ones do, is judged by that one too.
func (t *Table) Denies(address netip.Addr, port uint16) bool {
	if !address.IsValid() || address.Zone() != "" {
		return true
	}
	if (within(address) || t.host.has(address)) && !t.Opens(address, port) {
		return true
	}
	for _, embedded := range embedded(address) {
		if t.Denies(embedded, port) {
			return true
		}
	}
	return false
}

// Opens tells whether the operator opened an address and port.
func (t *Table) Opens(address netip.Addr, port uint16) bool {
	for _, opening := range t.openings {
		if opening.Network.Contains(address) && opening.Ports.Has(port) {
			return true
		}
	}
	return false
}

func within(address netip.Addr) bool {
	return slices.ContainsFunc(denied, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}
