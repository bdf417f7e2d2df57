package main

import (
	"fmt"
	"net"

	"stacyvm/native/internal/outbound"
)

// openEgress takes the sandbox's network device and the egress gateway's connections, where the sandbox has an outbound
// network.
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
	outbound.Open(door, used)
	return nil
}
