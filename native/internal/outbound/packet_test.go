package outbound

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"stacyvm/native/internal/netdevice"
)

// packetTo is a well-formed packet of the sandbox.
func packetTo(protocol tcpip.TransportProtocolNumber, payload []byte) []byte {
	packet := make(header.IPv4, header.IPv4MinimumSize+len(payload))
	packet.Encode(&header.IPv4Fields{
		TotalLength: uint16(len(packet)), TTL: packetTTL, Protocol: uint8(protocol),
		SrcAddr: tcpip.AddrFrom4(netdevice.Address), DstAddr: tcpip.AddrFrom4([4]byte{203, 0, 113, 7}),
	})
	packet.SetChecksum(^packet.CalculateChecksum())
	copy(packet.Payload(), payload)
	return packet
}

func TestOnlyWholePacketsOfTheSandboxAreLookedAt(t *testing.T) {
	good := packetTo(header.TCPProtocolNumber, make([]byte, header.TCPMinimumSize))
	if protocolOf(good) != header.TCPProtocolNumber {
		t.Fatal("a good packet is dropped")
	}
	with := func(at int, value byte) []byte {
		packet := slices.Clone(good)
		packet[at] = value
		return packet
	}
	for what, packet := range map[string][]byte{
		"empty": nil, "one byte": {0x45}, "half a header": good[:19], "cut": good[:39], "trailed": append(slices.Clone(good), 0),
		"of IPv6": with(0, 0x65), "of no version": with(0, 0x05), "header too short": with(0, 0x44), "header too long": with(0, 0x4f),
		"length too short": with(3, 19), "length too long": with(3, 41), "more fragments": with(6, 0x20), "a later fragment": with(7, 1),
		"from another address": with(15, 9), "from loopback": with(12, 127),
	} {
		if got := protocolOf(packet); got != 0 {
			t.Errorf("%s: protocol %d", what, got)
		}
	}
}

func FuzzPacket(f *testing.F) {
	query := question(f, "api.example.com.", 1)
	udp := make(header.UDP, header.UDPMinimumSize+len(query))
	udp.Encode(&header.UDPFields{SrcPort: 4711, DstPort: dnsPort, Length: uint16(len(udp))})
	copy(udp.Payload(), query)
	f.Add(packetTo(header.UDPProtocolNumber, udp))
	syn := make(header.TCP, header.TCPMinimumSize)
	syn.Encode(&header.TCPFields{SrcPort: 4711, DstPort: 80, SeqNum: 1, DataOffset: header.TCPMinimumSize, Flags: header.TCPFlagSyn, WindowSize: 1000})
	f.Add(packetTo(header.TCPProtocolNumber, syn))
	ack := slices.Clone(syn)
	ack.SetFlags(uint8(header.TCPFlagAck))
	f.Add(packetTo(header.TCPProtocolNumber, ack))
	f.Add(packetTo(header.ICMPv4ProtocolNumber, []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}))
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		f.Fatal(err)
	}
	n := alone(f, resolving(nil))
	n.device = &tun{fd: null}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) > netdevice.MTU {
			return
		}
		view := buffer.NewViewSize(netdevice.MTU)
		copy(view.AsSlice(), packet)
		if !n.packet(view, len(packet)) {
			view.Release()
		}
	})
}
