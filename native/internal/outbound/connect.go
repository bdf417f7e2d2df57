package outbound

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"stacyvm/native/internal/egresswire"
	"stacyvm/native/internal/netdevice"
)

const (
	dnsPort = 53
	// slotWait bounds how long a connection waits for the gateway to offer a slot.
	slotWait = 5 * time.Second
	// openWait bounds how long the gateway may take to open a connection.
	openWait = 60 * time.Second
	// pieceBytes is what is carried at once: what two of the largest segments hold, with timestamps.
	pieceBytes = 2 * (netdevice.MTU - 20 - 32)
	// manyFlows is from where on each connection has less memory.
	manyFlows = 64
)

// connect answers a SYN of the sandbox: only what the gateway has opened becomes a connection, all else is reset.
func (n *network) connect(request *tcp.ForwarderRequest) {
	defer n.used()
	count := n.flows.Add(1)
	defer n.flows.Add(-1)
	slot, ok := n.open(request.ID().LocalAddress, request.ID().LocalPort, count)
	if !ok {
		request.Complete(true)
		return
	}
	var queue waiter.Queue
	end, err := request.CreateEndpoint(&queue)
	request.Complete(false)
	if err != nil { // the program has given up
		if slot != nil {
			_ = slot.Close()
		}
		return
	}
	if count > manyFlows {
		size := max(bufferBytesMax*manyFlows/count, bufferBytesMin)
		end.SocketOptions().SetReceiveBufferSize(size, true)
		end.SocketOptions().SetSendBufferSize(size, true)
	}
	if slot == nil {
		n.resolve(newStream(end, &queue, func() {}))
		return
	}
	carry(end, &queue, slot)
}

// open asks the gateway; without a slot, where ok, the connection is to the resolver.
func (n *network) open(to tcpip.Address, port uint16, count int64) (slot *net.UnixConn, ok bool) {
	address := netip.AddrFrom4(to.As4())
	if count > flowsMax {
		return nil, false
	}
	if port == dnsPort {
		return nil, true
	}
	host, literal, ok := n.wants(address)
	if !ok {
		return nil, false
	}
	slot, err := n.slots.connect(egresswire.Request{Open: egresswire.OpenTCP, Host: host, Address: literal, Port: int(port)})
	return slot, err == nil
}

// pieces are buffers of pieceBytes. A direction that waits holds none.
var pieces = sync.Pool{New: func() any { piece := make([]byte, pieceBytes); return &piece }}

// carry copies both ways until both have ended, or one side resets the connection.
func carry(end tcpip.Endpoint, queue *waiter.Queue, slot *net.UnixConn) {
	inside := newStream(end, queue, func() { _ = slot.Close() })
	var ended atomic.Int32 // directions that came to their end in order
	finish := func(shut func()) {
		count := ended.Add(1) // first: whoever sees the end of one direction may close both
		shut()
		if count == 2 {
			_ = slot.Close()
		}
	}
	var out sync.WaitGroup
	out.Go(func() {
		if copyOut(slot, inside) {
			finish(func() { _ = slot.CloseWrite() })
			return
		}
		_ = slot.Close()
	})
	if Copy(inside, slot) == nil && (ended.Load() > 0 || !egresswire.HungUp(slot)) {
		finish(inside.closeWrite)
		egresswire.WaitHangup(slot)
	}
	if ended.Load() < 2 {
		inside.abort()
	}
	_ = slot.Close()
	out.Wait()
	inside.close()
}

// copyOut carries from the sandbox to the slot, and says whether the program ended its direction in order. What is read
// isn't written while the connection is locked: the other direction has to go on.
func copyOut(slot *net.UnixConn, inside *stream) bool {
	for {
		piece := pieces.Get().(*[]byte)
		n, err := inside.readNow(*piece)
		if n > 0 {
			_, err = slot.Write((*piece)[:n])
		}
		pieces.Put(piece)
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		if n == 0 {
			<-inside.readable
		}
	}
}
