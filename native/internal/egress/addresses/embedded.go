package addresses

import "net/netip"

var (
	wellKnownNAT64 = netip.MustParsePrefix("64:ff9b::/96")
	siteNAT64      = netip.MustParsePrefix("64:ff9b:1::/48")
	compatible     = netip.MustParsePrefix("::/96")
	translated     = netip.MustParsePrefix("::ffff:0:0:0/96")
	sixToFour      = netip.MustParsePrefix("2002::/16")
	teredo         = netip.MustParsePrefix("2001::/32")
)

// embedded returns the IPv4 addresses that an IPv6 one may stand for, none if it stands for itself.
func embedded(address netip.Addr) []netip.Addr {
	if address.Is4() {
		return nil
	}
	b := address.As16()
	v4 := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	switch {
	case address.Is4In6(), compatible.Contains(address), translated.Contains(address), wellKnownNAT64.Contains(address):
		return []netip.Addr{v4(12)}
	case siteNAT64.Contains(address):
		// A site chooses the prefix' length, and with it the place (RFC 6052, 2.2): /48, /56, /64 leave out byte 8.
		return []netip.Addr{
			netip.AddrFrom4([4]byte{b[6], b[7], b[9], b[10]}),
			netip.AddrFrom4([4]byte{b[7], b[9], b[10], b[11]}),
			v4(9),
			v4(12),
		}
	case sixToFour.Contains(address):
		return []netip.Addr{v4(2)}
	case teredo.Contains(address):
		// The server, and the client with its bits turned.
		return []netip.Addr{v4(4), netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]})}
	}
	return nil
}
