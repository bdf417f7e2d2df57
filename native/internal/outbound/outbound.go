// Package outbound carries a sandbox's outbound network from its TUN, or from the proxy inside, to the egress gateway.
//
// The gateway connects to the egress door and leaves slots there; each TCP connection of the sandbox takes one, is opened
// by the gateway's word, and only then exists for the program inside. Names are given addresses here, so that a connection
// is asked for by the name that was looked up. Packets, DNS messages and what comes from a slot are hostile alike.
package outbound

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"stacyvm/native/internal/egresswire"
)

const (
	// helloTimeout bounds the wait for a connection's first byte.
	helloTimeout = 10 * time.Second
	// hellosMax bounds the connections that haven't said yet what they are.
	hellosMax = 64
	// acceptPause is between two tries to accept where none succeeds, for want of descriptors.
	acceptPause = 100 * time.Millisecond
)

// Door is where the network device and the gateway's slots arrive.
type Door struct {
	listener *net.UnixListener
	slots    *slots
	used     func()
	network  atomic.Pointer[network]
	noDevice bool
	hellos   chan struct{}
}

// Open begins to take connections from the listener, which stays open for the agent's life. Used is called when something
// has happened.
func Open(listener *net.UnixListener, used func()) *Door {
	return open(&Door{listener: listener, used: used})
}

// OpenForSlots opens a door that takes no network device: what goes out is asked for with Connect.
func OpenForSlots(listener *net.UnixListener, used func()) *Door {
	return open(&Door{listener: listener, used: used, noDevice: true})
}

// OpenForTunnels opens a door whose slots come one by one, each by Offer.
func OpenForTunnels(used func()) *Door {
	return &Door{used: used, noDevice: true, slots: &slots{}}
}

// Offer takes a slot that a connection carries, from its first byte on; the connection is the door's.
func (d *Door) Offer(conn net.Conn) error {
	if err := d.offer(conn); err != nil {
		_ = conn.Close()
		return err
	}
	return nil
}

func (d *Door) offer(conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return err
	}
	var kind [1]byte
	if _, err := io.ReadFull(conn, kind[:]); err != nil {
		return err
	}
	if kind[0] != egresswire.KindSlot {
		return fmt.Errorf("a tunnel is no slot (%q)", kind[0])
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	slot, err := egresswire.Tunnel(conn)
	if err != nil {
		return err
	}
	d.slots.put(slot)
	return nil
}

func open(d *Door) *Door {
	d.listener.SetUnlinkOnClose(false)
	d.slots, d.hellos = &slots{}, make(chan struct{}, hellosMax)
	go d.accept()
	return d
}

// Close ends the taking of connections.
func (d *Door) Close() { _ = d.listener.Close() }

func (d *Door) accept() {
	for {
		conn, err := d.listener.AcceptUnix()
		if isClosed(err) {
			return
		}
		if err != nil {
			time.Sleep(acceptPause)
			continue
		}
		select {
		case d.hellos <- struct{}{}:
			go func() {
				defer func() { <-d.hellos }()
				if err := d.hello(conn); err != nil {
					_ = conn.Close()
					complain(err)
				}
			}()
		default:
			_ = conn.Close()
		}
	}
}

// hello learns what a connection is. It keeps a slot, and nothing else.
func (d *Door) hello(conn *net.UnixConn) error {
	if err := conn.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return err
	}
	kind, descriptor, err := readHello(conn)
	if err != nil {
		return fmt.Errorf("a connection to the egress door: %w", err)
	}
	switch {
	case kind == egresswire.KindSlot && descriptor == nil:
		if err := conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
		d.slots.put(conn)
		return nil
	case kind == egresswire.KindTun && descriptor != nil && !d.noDevice:
		defer func() { _ = conn.Close() }()
		return d.take(descriptor)
	}
	if descriptor != nil {
		_ = descriptor.Close()
	}
	return fmt.Errorf("a connection to the egress door is neither a slot nor the network device (%q)", kind)
}

// take makes the network of the first device that arrives; there is no second one.
func (d *Door) take(descriptor *os.File) error {
	device, err := openTun(descriptor)
	if err == nil {
		made := newNetwork(device, d.slots, d.used)
		if d.network.CompareAndSwap(nil, made) {
			go made.read()
			return nil
		}
		err = errors.New("a second network device is refused")
	}
	_ = descriptor.Close()
	return err
}

func complain(err error) { fmt.Fprintln(os.Stderr, "stacyvm-agent:", err) }
