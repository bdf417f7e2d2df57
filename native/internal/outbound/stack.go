package outbound

import (
	"fmt"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

const (
	// receiveBufferBytes and sendBufferBytes are what a connection begins with; they grow as it is read and written.
	receiveBufferBytes = 256 << 10
	sendBufferBytes    = 256 << 10
	// bufferBytesMax is what they may grow to: some dozens of the largest segments.
	bufferBytesMax = 1 << 20
	// bufferBytesMin is what each has where there are many connections.
	bufferBytesMin = 64 << 10
	// timeWait keeps the remains of a connection; nothing wanders between the device and here.
	timeWait = time.Second
)

func newStack(device *tun) (*stack.Stack, error) {
	made := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
	})
	sack := tcpip.TCPSACKEnabled(true)
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	wait := tcpip.TCPTimeWaitTimeoutOption(timeWait)
	for _, option := range []tcpip.SettableTransportProtocolOption{
		&sack, &moderate, &wait,
		&tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: receiveBufferBytes, Max: bufferBytesMax},
		&tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: sendBufferBytes, Max: bufferBytesMax},
	} {
		if err := made.SetTransportProtocolOption(tcp.ProtocolNumber, option); err != nil {
			return nil, fmt.Errorf("network: %T: %s", option, err)
		}
	}
	if err := made.CreateNIC(nic, device); err != nil {
		return nil, fmt.Errorf("network: %s", err)
	}
	// Every address is its own, for taking packets and for answering them.
	if err := made.SetPromiscuousMode(nic, true); err != nil {
		return nil, fmt.Errorf("network: %s", err)
	}
	if err := made.SetSpoofing(nic, true); err != nil {
		return nil, fmt.Errorf("network: %s", err)
	}
	made.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	return made, nil
}
