package main

import (
	"fmt"
	"net"
	"os"

	"stacyvm/native/internal/outbound"
	"stacyvm/native/internal/outbound/proxy"
)

// openEgress takes the egress gateway's connections, and the sandbox's network device or what its programs ask of the proxy,
// where the sandbox has an outbound network. Without a socket of its own they come through the agent's usual one, each by offer.
func openEgress(o options, used func()) (offer func(net.Conn) error, err error) {
	var listener net.Listener
	switch {
	case o.egressUnix != "":
		listener, err = net.Listen("unix", o.egressUnix)
	case o.egressFD >= 0:
		listener, err = inherited("--egress-fd", o.egressFD)
	case o.egressProxy:
		gateway := outbound.OpenForTunnels(used)
		return gateway.Offer, serveProxy(gateway, used)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	door, ok := listener.(*net.UnixListener)
	if !ok {
		return nil, fmt.Errorf("--egress-fd %d is no unix socket", o.egressFD)
	}
	if o.egressProxy {
		return nil, serveProxy(outbound.OpenForSlots(door, used), used)
	}
	outbound.Open(door, used)
	return nil, nil
}

func serveProxy(gateway *outbound.Door, used func()) error {
	inside, err := net.Listen("tcp4", proxy.Address)
	if err != nil {
		return err
	}
	go func() {
		if err := proxy.Serve(inside.(*net.TCPListener), gateway.Connect, used); err != nil {
			fmt.Fprintln(os.Stderr, "stacyvm-agent: the proxy has ended:", err)
		}
	}()
	return nil
}
