package proxy

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"stacyvm/native/internal/egresswire"
)

// target is where a connection goes: to a name, or to an address.
type target struct {
	host, address string
	port          int
}

var errTarget = errors.New("is no host and port that can be connected to")

// parseTarget reads host:port, [address]:port, or, with a default port, the same without a port.
func parseTarget(authority string, defaultPort int) (target, error) {
	host, port := authority, ""
	if defaultPort == 0 || strings.LastIndexByte(authority, ':') > strings.LastIndexByte(authority, ']') {
		var err error
		if host, port, err = net.SplitHostPort(authority); err != nil {
			return target{}, errTarget
		}
	} else if inner, ok := strings.CutPrefix(authority, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return target{}, errTarget
		}
	}
	to := target{port: defaultPort}
	if port != "" || defaultPort == 0 {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return target{}, errTarget
		}
		to.port = int(number)
	}
	bracketed := strings.HasPrefix(authority, "[")
	if address, err := netip.ParseAddr(host); err == nil {
		if address.Zone() != "" || address.Is6() != bracketed {
			return target{}, errTarget
		}
		to.address = address.String()
		return to, nil
	}
	name, ok := egresswire.Name(host)
	if !ok || bracketed || egresswire.IsNumeric(name) {
		return target{}, errTarget
	}
	to.host = name
	return to, nil
}

// authority is what a Host header says of it; the usual port isn't told.
func (t target) authority(usualPort int) string {
	host := t.host
	if host == "" {
		host = t.address
	}
	if t.port != usualPort {
		return net.JoinHostPort(host, strconv.Itoa(t.port))
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
