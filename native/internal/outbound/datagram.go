package outbound

import (
	"golang.org/x/sys/unix"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

const (
	packetTTL = 64
	// quotedBytes is how much of a datagram's payload an ICMP error quotes: its UDP header.
	quotedBytes = header.UDPMinimumSize
)

// datagram answers a UDP packet: by the resolver on its port, whatever address was asked, and by "port unreachable"
// on all others.
func (n *network) datagram(packet []byte) {
	ip := header.IPv4(packet)
	udp := header.UDP(ip.Payload())
	to := ip.DestinationAddress()
	if len(udp) < header.UDPMinimumSize || int(udp.Length()) < header.UDPMinimumSize || int(udp.Length()) > len(udp) ||
		header.IsV4MulticastAddress(to) || to == header.IPv4Broadcast {
		return
	}
	if udp.DestinationPort() != dnsPort {
		n.send(header.ICMPv4ProtocolNumber, to, unreachable(packet[:int(ip.HeaderLength())+quotedBytes]))
		return
	}
	query := append([]byte(nil), udp.Payload()[:int(udp.Length())-header.UDPMinimumSize]...)
	port := udp.SourcePort()
	select {
	case n.lookups <- struct{}{}:
	default: // a query that is lost comes again
		return
	}
	go func() {
		defer func() { <-n.lookups }()
		if answer := n.answer(query, datagramBytes(query)); answer != nil {
			n.send(header.UDPProtocolNumber, to, datagramOf(to, port, answer))
		}
		n.used()
	}()
}

// send puts a packet from an address into the sandbox. One that is lost is a lost packet.
func (n *network) send(protocol tcpip.TransportProtocolNumber, from tcpip.Address, payload []byte) {
	packet := make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+len(payload))
	ip := header.IPv4(packet)
	ip.Encode(&header.IPv4Fields{
		TotalLength: uint16(header.IPv4MinimumSize + len(payload)), TTL: packetTTL, Protocol: uint8(protocol),
		SrcAddr: from, DstAddr: tcpip.AddrFrom4(ownAddress.As4()),
	})
	ip.SetChecksum(^ip.CalculateChecksum())
	_, _ = unix.Write(n.device.fd, append(packet, payload...))
}

// unreachable is an ICMP "port unreachable" that quotes a packet.
func unreachable(quoted []byte) []byte {
	message := make(header.ICMPv4, header.ICMPv4MinimumSize+len(quoted))
	message.SetType(header.ICMPv4DstUnreachable)
	message.SetCode(header.ICMPv4PortUnreachable)
	copy(message[header.ICMPv4MinimumSize:], quoted)
	message.SetChecksum(^checksum.Checksum(message, 0))
	return message
}

// datagramOf is an answer of the resolver that the sandbox knows under an address.
func datagramOf(from tcpip.Address, port uint16, payload []byte) []byte {
	datagram := make(header.UDP, header.UDPMinimumSize+len(payload))
	datagram.Encode(&header.UDPFields{SrcPort: dnsPort, DstPort: port, Length: uint16(len(datagram))})
	copy(datagram.Payload(), payload)
	sum := header.PseudoHeaderChecksum(header.UDPProtocolNumber, from, tcpip.AddrFrom4(ownAddress.As4()), uint16(len(datagram)))
	if sum = ^checksum.Checksum(datagram, sum); sum == 0 {
		sum = 0xffff // zero says that there is none
	}
	datagram.SetChecksum(sum)
	return datagram
}
