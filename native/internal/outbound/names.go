package outbound

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"

	"stacyvm/native/internal/netdevice"
)

// namesMax is how many names a sandbox can look up in its life.
const namesMax = 65_536

var (
	// ownAddress is the TUN's.
	ownAddress = netip.AddrFrom4(netdevice.Address)
	// fakeNetwork holds that, the resolver's (resolv.conf) and every address of a name; nothing in it is anybody's (RFC 2544).
	fakeNetwork = netip.MustParsePrefix("198.18.0.0/15")
	// firstName is the address of the first name.
	firstName = netip.AddrFrom4([4]byte{198, 18, 1, 0})
)

// names are those that were looked up, each with an address of its own for the sandbox's life.
type names struct {
	mutex   sync.Mutex
	byIndex []string
	indexOf map[string]uint32
}

func number(a netip.Addr) uint32 { four := a.As4(); return binary.BigEndian.Uint32(four[:]) }

// address returns the name's address; false where every address is given out.
func (n *names) address(name string) (netip.Addr, bool) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	index, known := n.indexOf[name]
	if !known {
		if len(n.byIndex) >= namesMax {
			return netip.Addr{}, false
		}
		if n.indexOf == nil {
			n.indexOf = map[string]uint32{}
		}
		name = strings.Clone(name)
		index = uint32(len(n.byIndex))
		n.byIndex = append(n.byIndex, name)
		n.indexOf[name] = index
	}
	var four [4]byte
	binary.BigEndian.PutUint32(four[:], number(firstName)+index)
	return netip.AddrFrom4(four), true
}

// name returns whose address it is.
func (n *names) name(address netip.Addr) (string, bool) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	index := int64(number(address)) - int64(number(firstName))
	if index < 0 || index >= int64(len(n.byIndex)) {
		return "", false
	}
	return n.byIndex[index], true
}
