// Package ports lists what listens in the sandbox's network namespace.
package ports

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// socket is one listening line of /proc/net/tcp or tcp6.
type socket struct {
	address netip.Addr
	port    uint16
	inode   string
}

// listening is the kernel's number for the state LISTEN.
const listening = "0A"

// parseTable reads /proc/net/tcp or tcp6; lines that make no sense are skipped.
func parseTable(text string) []socket {
	var found []socket
	for _, line := range strings.Split(text, "\n") {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != listening {
			continue
		}
		address, port, ok := strings.Cut(f[1], ":")
		number, err := strconv.ParseUint(port, 16, 16)
		ip, valid := parseAddress(address)
		if !ok || err != nil || !valid {
			continue
		}
		found = append(found, socket{address: ip, port: uint16(number), inode: f[9]})
	}
	return found
}

// parseAddress reads the kernel's form: 32-bit words in the machine's byte order (little-endian here).
func parseAddress(text string) (netip.Addr, bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 4 && len(raw) != 16 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
	}
	return netip.AddrFromSlice(raw)
}
