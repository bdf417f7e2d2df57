package main

import (
	"fmt"
	"net"
	"os"

	"stacyvm/native/internal/outbound"
	"stacyvm/native/internal/outbound/proxy"
)

// openEgress takes the egress gateway's connections, and the sandbox's network device or what its programs ask of the proxy,
// where the sandbox has an outbound network.
func openEgress(o options, used func()) error {
	var listener net.Listener
	var err error
	switch {
	case o.egressUnix != "":
		listener, err = net.Listen("unix", o.egressUnix)
	case o.egressFD >= 0:
		listener, err = inherited("--egress-fd", o.egressFD)
	default:
		return nil
	}
	if err != nil {
		return err
	}
	door, ok := listener.(*net.UnixListener)
	if !ok {
		return fmt.Errorf("--egress-fd %d is no unix socket", o.egressFD)
	}
	if !o.egressProxy {
		outbound.Open(door, used)
		return nil
	}
	inside, err := net.Listen("tcp4", proxy.Address)
	if err != nil {
		return err
	}
	gateway := outbound.OpenForSlots(door, used)
	go func() {
		if err := proxy.Serve(inside.(*net.TCPListener), gateway.Connect, used); err != nil {
			fmt.Fprintln(os.Stderr, "stacyvm-agent: the proxy has ended:", err)
		}
	}()
	return nil
}
