package outbound

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"stacyvm/native/internal/netdevice"
)

const (
	// openingMax bounds the connections that wait for the gateway's word; further SYNs are lost and come again.
	openingMax = 512
	// flowsMax bounds the connections.
	flowsMax = 1024
	// lookupsMax bounds the DNS queries under way.
	lookupsMax = 128
	// ownPacketBytes is from where on a packet keeps the buffer that it was read into; smaller ones are copied, so that what
	// waits to be read takes no more than twice its size.
	ownPacketBytes = 32 << 10
	// nic is the only one.
	nic tcpip.NICID = 1
)

// network is the sandbox's: everything that it sends comes here.
type network struct {
	device  *tun
	slots   *slots
	used    func()
	names   names
	lookups chan struct{}
	asking  lookups

	// The stack is made for the first connection.
	made      sync.Once
	stack     *stack.Stack
	forwarder *tcp.Forwarder
	flows     atomic.Int64
}

func newNetwork(device *tun, from *slots, used func()) *network {
	return &network{device: device, slots: from, used: used, lookups: make(chan struct{}, lookupsMax)}
}

// read takes packets until the device is gone.
func (n *network) read() {
	view := buffer.NewViewSize(netdevice.MTU)
	for {
		// A view for reading is nobody else's, so its bytes may be written.
		size, err := n.device.file.Read(view.AsSlice())
		if err != nil {
			complain(fmt.Errorf("the network device: %w", err))
			return
		}
		if n.packet(view, size) {
			view = buffer.NewViewSize(netdevice.MTU)
		}
	}
}

// packet handles what was read into a view, and says whether it has kept the view.
func (n *network) packet(view *buffer.View, size int) (kept bool) {
	packet := view.AsSlice()[:size]
	switch protocolOf(packet) {
	case header.UDPProtocolNumber:
		n.datagram(packet)
	case header.TCPProtocolNumber:
		n.made.Do(n.makeStack)
		if n.stack == nil {
			return false
		}
		if size < ownPacketBytes {
			n.deliver(buffer.NewViewWithData(packet))
			return false
		}
		view.CapLength(size)
		n.deliver(view)
		return true
	}
	return false
}

// protocolOf tells the protocol of a packet that is the sandbox's: whole, of IPv4, and from its address; of others 0.
func protocolOf(packet []byte) tcpip.TransportProtocolNumber {
	ip := header.IPv4(packet)
	if len(packet) < header.IPv4MinimumSize || !ip.IsValid(len(packet)) || header.IPVersion(packet) != header.IPv4Version ||
		ip.More() || ip.FragmentOffset() != 0 || int(ip.TotalLength()) != len(packet) || ip.SourceAddress().As4() != ownAddress.As4() {
		return 0
	}
	return ip.TransportProtocol()
}

func (n *network) deliver(view *buffer.View) {
	packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(view)})
	n.device.DeliverNetworkPacket(ipv4.ProtocolNumber, packet)
	packet.DecRef()
}

func (n *network) makeStack() {
	made, err := newStack(n.device)
	if err != nil {
		complain(err)
		return
	}
	forwarder := tcp.NewForwarder(made, receiveBufferBytes, openingMax, n.connect)
	made.SetTransportProtocolHandler(tcp.ProtocolNumber, forwarder.HandlePacket)
	n.stack, n.forwarder = made, forwarder
}

// wants says what a connection to the address is: to a name, to a literal address, or to nothing.
func (n *network) wants(address netip.Addr) (host, literal string, ok bool) {
	if !fakeNetwork.Contains(address) {
		return "", address.String(), true
	}
	host, ok = n.names.name(address)
	return host, "", ok
}
