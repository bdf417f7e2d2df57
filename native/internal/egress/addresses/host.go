package addresses

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// ownAge is for how long a host's addresses are taken as they were read.
const ownAge = 5 * time.Second

// Host knows the addresses of this host's own interfaces.
type Host struct {
	read func() ([]net.Addr, error)

	mu     sync.Mutex
	own    map[netip.Addr]struct{}
	readAt time.Time
}

// NewHost reads the addresses of the network namespace that the program is in.
func NewHost() (*Host, error) {
	host := &Host{read: net.InterfaceAddrs}
	return host, host.refresh()
}

// has tells whether the host has an address itself. Where they can't be read any more every address is one: what can't
// be decided is denied.
func (h *Host) has(address netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.readAt) >= ownAge && h.refresh() != nil {
		return true
	}
	_, has := h.own[address]
	return has
}

func (h *Host) refresh() error {
	addresses, err := h.read()
	if err != nil {
		return err
	}
	own := make(map[netip.Addr]struct{}, len(addresses))
	for _, address := range addresses {
		if network, is := address.(*net.IPNet); is {
			if address, ok := netip.AddrFromSlice(network.IP); ok {
				own[address.Unmap()] = struct{}{}
			}
		}
	}
	h.own, h.readAt = own, time.Now()
	return nil
}
