// Command packet-log prints one JSON line for each packet that comes in by a network interface, for the tests of outbound
// network: of TCP those that open a connection, of all else everything but what the kernel says to its neighbours.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

const (
	receiveBuffer = 16 << 20
	snapBytes     = 2048
	payloadBytes  = 64
)

// record is what is told of a packet. Ports are of TCP and UDP alone.
type record struct {
	Protocol        string `json:"protocol"`
	Source          string `json:"source"`
	SourcePort      uint16 `json:"source_port,omitempty"`
	Destination     string `json:"destination"`
	DestinationPort uint16 `json:"destination_port,omitempty"`
	// The first bytes of a datagram.
	Payload []byte `json:"payload,omitempty"`
}

func main() {
	fmt.Fprintln(os.Stderr, "packet-log:", run(os.Args[1:]))
	os.Exit(1)
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: packet-log INTERFACE")
	}
	link, err := net.InterfaceByName(args[0])
	if err != nil {
		return err
	}
	socket, err := listen(link.Index)
	if err != nil {
		return err
	}
	fmt.Println(`{"listening":true}`)
	out := json.NewEncoder(os.Stdout)
	frame := make([]byte, snapBytes)
	for {
		n, from, err := unix.Recvfrom(socket, frame, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if where, ok := from.(*unix.SockaddrLinklayer); ok && where.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if one, told := recordOf(frame[:n]); told {
			if err := out.Encode(one); err != nil {
				return err
			}
		}
	}
}

// listen opens a packet socket; the content of TCP connections of IPv4 is dropped before it gets to us.
func listen(index int) (int, error) {
	all := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return 0, err
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: 12},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.ETH_P_IP, Jf: 6},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 23},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_TCP, Jf: 4},
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 14},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_IND, K: 14 + 13},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x02, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: snapBytes},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(socket, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer); err != nil {
		return 0, err
	}
	return socket, unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: index})
}

func recordOf(frame []byte) (record, bool) {
	if len(frame) < 14 {
		return record{}, false
	}
	packet := frame[14:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		if len(packet) < 20 || len(packet) < int(packet[0]&15)*4 {
			return record{}, false
		}
		return inside(packet[9], packet[12:16], packet[16:20], packet[int(packet[0]&15)*4:])
	case unix.ETH_P_IPV6:
		if len(packet) < 40 {
			return record{}, false
		}
		return inside(packet[6], packet[8:24], packet[24:40], packet[40:])
	}
	return record{}, false
}

func inside(protocol byte, source, destination, rest []byte) (record, bool) {
	from, _ := netip.AddrFromSlice(source)
	to, _ := netip.AddrFromSlice(destination)
	one := record{Source: from.String(), Destination: to.String(), Protocol: fmt.Sprint(protocol)}
	switch protocol {
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP:
		if len(rest) < 8 {
			return one, true
		}
		one.SourcePort, one.DestinationPort = binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])
	}
	switch protocol {
	case unix.IPPROTO_TCP:
		one.Protocol = "tcp"
		const syn, ack = 0x02, 0x10
		return one, len(rest) >= 14 && rest[13]&(syn|ack) == syn
	case unix.IPPROTO_UDP:
		one.Protocol = "udp"
		one.Payload = rest[8:min(len(rest), 8+payloadBytes)]
	case unix.IPPROTO_ICMP:
		one.Protocol = "icmp"
	case unix.IPPROTO_ICMPV6:
		one.Protocol = "icmpv6"
		// Neighbours and routers are looked for by the kernel itself: 133 to 137.
		return one, len(rest) > 0 && (rest[0] < 133 || rest[0] > 137)
	case unix.IPPROTO_HOPOPTS:
		// Membership of multicast groups, reported by the kernel itself.
		return one, false
	}
	return one, true
}
