package addresses

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func tableOf(t *testing.T, own []string, openings ...Opening) *Table {
	t.Helper()
	host := &Host{read: func() ([]net.Addr, error) {
		var addresses []net.Addr
		for _, text := range own {
			address, network, err := net.ParseCIDR(text)
			if err != nil {
				t.Fatal(err)
			}
			addresses = append(addresses, &net.IPNet{IP: address, Mask: network.Mask})
		}
		return addresses, nil
	}}
	if err := host.refresh(); err != nil {
		t.Fatal(err)
	}
	return NewTable(host, openings)
}

func TestEveryRangeIsDeniedFromItsFirstAddressToItsLast(t *testing.T) {
	table := tableOf(t, nil)
	for _, spans := range [][3]string{
		// Before, range, behind; - where the neighbour is denied as well.
		{"-", "0.0.0.0/8", "1.0.0.0"}, {"9.255.255.255", "10.0.0.0/8", "11.0.0.0"}, {"100.63.255.255", "100.64.0.0/10", "100.128.0.0"},
		{"126.255.255.255", "127.0.0.0/8", "128.0.0.0"}, {"169.253.255.255", "169.254.0.0/16", "169.255.0.0"},
		{"168.63.129.15", "168.63.129.16/32", "168.63.129.17"}, {"172.15.255.255", "172.16.0.0/12", "172.32.0.0"},
		{"191.255.255.255", "192.0.0.0/24", "192.0.1.0"}, {"192.167.255.255", "192.168.0.0/16", "192.169.0.0"},
		{"198.17.255.255", "198.18.0.0/15", "198.20.0.0"}, {"223.255.255.255", "224.0.0.0/4", "-"}, {"-", "240.0.0.0/4", "-"},
		{"192.88.98.255", "192.88.99.0/24", "192.88.100.0"},
		{"-", "::/96", "0:0:0:0:0:1::"}, {"0:0:0:0:0:fffe:ffff:ffff", "::ffff:0:0/96", "::1:0:0:0"}, {"::fffe:ffff:ffff:ffff", "::ffff:0:0:0/96", "::ffff:1:0:0"},
		{"64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "64:ff9b::/96", "64:ff9b::1:0:0"}, {"64:ff9b:0:ffff:ffff:ffff:ffff:ffff", "64:ff9b:1::/48", "64:ff9b:2::"},
		{"ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "100::/64", "100:0:0:1::"}, {"2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::/32", "2001:1::"},
		{"2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::/16", "2003::"}, {"5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "5f00::/16", "5f01::"},
		{"fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fc00::/7", "fe00::"}, {"fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::/10", "-"},
		{"-", "fec0::/10", "-"}, {"-", "ff00::/8", "-"},
	} {
		prefix := netip.MustParsePrefix(spans[1])
		for _, address := range []netip.Addr{prefix.Addr(), last(prefix)} {
			if !table.Denies(address, 443) {
				t.Errorf("%s of %s is let through", address, prefix)
			}
		}
		for _, text := range []string{spans[0], spans[2]} {
			if text != "-" && table.Denies(netip.MustParseAddr(text), 443) {
				t.Errorf("%s beside %s is denied", text, prefix)
			}
		}
	}
}

func last(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Masked().Addr().AsSlice()
	for bit := prefix.Bits(); bit < 8*len(bytes); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	address, _ := netip.AddrFromSlice(bytes)
	return address
}

// spellings are the forms in which an IPv6 address may carry an IPv4 one.
func spellings(v4 netip.Addr) []netip.Addr {
	b := v4.As4()
	at := func(prefix string, places ...int) netip.Addr {
		bytes := netip.MustParseAddr(prefix).As16()
		for i, place := range places {
			bytes[place] = b[i]
		}
		return netip.AddrFrom16(bytes)
	}
	turned := netip.MustParseAddr("2001:0:cb00:7107::").As16()
	for i := range b {
		turned[12+i] = ^b[i]
	}
	return []netip.Addr{
		at("::ffff:0:0", 12, 13, 14, 15), at("::", 12, 13, 14, 15), at("::ffff:0:0:0", 12, 13, 14, 15),
		at("64:ff9b::", 12, 13, 14, 15), at("64:ff9b:1::", 12, 13, 14, 15), at("64:ff9b:1::", 6, 7, 9, 10),
		at("64:ff9b:1::", 7, 9, 10, 11), at("64:ff9b:1::", 9, 10, 11, 12), at("2002::", 2, 3, 4, 5),
		at("2001::", 4, 5, 6, 7), netip.AddrFrom16(turned),
	}
}

func TestMetadataIsDeniedInEverySpelling(t *testing.T) {
	// Every form opened by the operator: what is inside must still deny.
	var openings []Opening
	for _, prefix := range denied {
		if prefix.Addr().Is6() {
			openings = append(openings, Opening{Network: prefix})
		}
	}
	table := tableOf(t, nil)
	opened := tableOf(t, nil, openings...)
	for _, text := range []string{"169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "127.0.0.1", "10.0.0.1"} {
		v4 := netip.MustParseAddr(text)
		if !table.Denies(v4, 80) {
			t.Errorf("%s is let through", v4)
		}
		for _, spelling := range spellings(v4) {
			if !table.Denies(spelling, 80) || !opened.Denies(spelling, 80) {
				t.Errorf("%s, which is %s, is let through", spelling, v4)
			}
		}
	}
	for _, text := range []string{"fd00:ec2::254", "fe80::a9fe:a9fe", "fe80::1%eth0", "2001:db8::1%eth0"} {
		if !table.Denies(netip.MustParseAddr(text), 80) {
			t.Errorf("%s is let through", text)
		}
	}
	if !table.Denies(netip.Addr{}, 80) {
		t.Error("no address is let through")
	}
}

func TestAFormThatStandsForAnotherAddressIsDeniedWhateverItStandsFor(t *testing.T) {
	table := tableOf(t, nil)
	for _, spelling := range spellings(netip.MustParseAddr("203.0.113.7")) {
		if !table.Denies(spelling, 443) {
			t.Errorf("%s is let through", spelling)
		}
	}
}

func TestPublicAndDocumentationAddressesPass(t *testing.T) {
	table := tableOf(t, nil)
	for _, text := range []string{"1.1.1.1", "8.8.8.8", "192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "2606:4700::1111"} {
		if table.Denies(netip.MustParseAddr(text), 443) {
			t.Errorf("%s is denied", text)
		}
	}
}

func TestTheOperatorOpensExactlyANetworkAndItsPorts(t *testing.T) {
	table := tableOf(t, []string{"203.0.113.9/24"},
		Opening{netip.MustParsePrefix("10.1.2.3/32"), Ports{{5432, 5432}, {8000, 8100}}},
		Opening{netip.MustParsePrefix("203.0.113.9/32"), Ports{{443, 443}}},
		Opening{netip.MustParsePrefix("192.168.7.0/24"), nil},
	)
	for text, open := range map[string]bool{
		"10.1.2.3:5432": true, "10.1.2.3:8000": true, "10.1.2.3:8100": true, "10.1.2.3:8101": false, "10.1.2.3:5431": false,
		"10.1.2.4:5432": false, "[::ffff:10.1.2.3]:5432": false, "203.0.113.9:443": true, "203.0.113.9:80": false,
		"192.168.7.255:1": true, "192.168.8.0:1": false,
	} {
		target := netip.MustParseAddrPort(text)
		if table.Denies(target.Addr(), target.Port()) == open {
			t.Errorf("%s: open is not %t", text, open)
		}
	}
}

func TestTheHostsOwnAddressesAreDeniedInEverySpellingAndAreReadAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := []string{"203.0.113.9/24", "2001:db8::9/64"}
		table := tableOf(t, own)
		table.host.read = func() ([]net.Addr, error) {
			return []net.Addr{&net.IPNet{IP: net.ParseIP("203.0.113.10"), Mask: net.CIDRMask(24, 32)}}, nil
		}
		denies := func(text string) bool { return table.Denies(netip.MustParseAddr(text), 443) }
		if !denies("203.0.113.9") || !denies("2001:db8::9") || denies("203.0.113.10") {
			t.Error("the host's own addresses aren't those that are denied")
		}
		time.Sleep(ownAge)
		if denies("203.0.113.9") || !denies("203.0.113.10") {
			t.Error("the addresses weren't read anew")
		}
		table.host.read = func() ([]net.Addr, error) { return nil, errors.New("no netlink") }
		time.Sleep(ownAge)
		if !denies("198.51.100.1") {
			t.Error("with the host's addresses unknown something is let through")
		}
	})
}

func TestTheHostsAddressesAreThoseOfItsInterfaces(t *testing.T) {
	host, err := NewHost()
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil || len(addresses) == 0 {
		t.Fatal(addresses, err)
	}
	for _, address := range addresses {
		own, _ := netip.AddrFromSlice(address.(*net.IPNet).IP)
		if !host.has(own.Unmap()) {
			t.Errorf("%s is not known", own)
		}
	}
}

func TestPortsThatAreNoRangesAreRefused(t *testing.T) {
	for _, span := range [][2]int{{0, 1}, {443, 80}, {1, 65_536}, {-1, -1}} {
		if _, err := CheckPorts([][2]int{{1, 65_535}, span}); err == nil {
			t.Errorf("%v passes", span)
		}
	}
}

// FuzzTable: the judgement of an IPv4 address holds for each of its spellings, and none panics.
func FuzzTable(f *testing.F) {
	f.Add([]byte{169, 254, 169, 254}, uint16(80))
	f.Add([]byte{0x20, 1, 0xd, 0xb8, 15: 1}, uint16(443))
	table := NewTable(&Host{read: func() ([]net.Addr, error) { return nil, nil }}, nil)
	f.Fuzz(func(t *testing.T, bytes []byte, port uint16) {
		address, ok := netip.AddrFromSlice(bytes)
		if !ok {
			return
		}
		denies := table.Denies(address, port)
		if address.Is4() {
			private := address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast() || address.IsMulticast() || address.IsUnspecified()
			if private && !denies {
				t.Errorf("%s is let through", address)
			}
			for _, spelling := range spellings(address) {
				if !table.Denies(spelling, port) {
					t.Errorf("%s is let through", spelling)
				}
			}
		} else if unmapped := address.Unmap(); !denies && table.Denies(unmapped, port) {
			t.Errorf("%s is let through and %s is not", address, unmapped)
		}
	})
}
