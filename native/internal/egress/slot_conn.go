package egress

import (
	"net"
	"sync/atomic"
	"time"
)

// slotConn is the sandbox's side of an inspected flow: what was held comes first, bytes are counted and take the sandbox's
// rate. To close it ends what is sent; the slot stays until the flow has ended.
type slotConn struct {
	*net.UnixConn
	flow     *flow
	held     []byte
	isClosed atomic.Bool
}

func (c *slotConn) Read(to []byte) (int, error) {
	if len(to) > copyBytes {
		to = to[:copyBytes]
	}
	if c.isClosed.Load() {
		return 0, net.ErrClosed
	}
	n, err := copy(to, c.held), error(nil)
	if n > 0 {
		c.held = c.held[n:]
	} else if n, err = c.UnixConn.Read(to); n == 0 {
		return 0, err
	}
	if limited := c.flow.sandbox.rates.bytes.WaitN(c.flow.ctx, n); limited != nil {
		return 0, limited
	}
	c.flow.sent.Add(int64(n))
	c.flow.lastByte.Store(time.Now().UnixNano())
	return n, err
}

func (c *slotConn) Write(from []byte) (int, error) {
	if c.isClosed.Load() {
		return 0, net.ErrClosed
	}
	for written := 0; ; {
		n := min(len(from)-written, copyBytes)
		if err := c.flow.pass(c.flow.ctx, c.UnixConn, from[written:written+n], &c.flow.received); err != nil {
			return written, err
		}
		if written += n; written == len(from) {
			return written, nil
		}
	}
}

func (c *slotConn) Close() error {
	if c.isClosed.Swap(true) {
		return nil
	}
	err := c.CloseWrite()
	// Whoever waits for something to read stops.
	_ = c.UnixConn.SetReadDeadline(time.Unix(1, 0))
	_ = c.UnixConn.SetWriteDeadline(time.Unix(1, 0))
	return err
}

// SetDeadline, SetReadDeadline and SetWriteDeadline do nothing once it is closed.
func (c *slotConn) SetDeadline(at time.Time) error {
	if c.isClosed.Load() {
		return net.ErrClosed
	}
	return c.UnixConn.SetDeadline(at)
}

// SetReadDeadline is for reads.
func (c *slotConn) SetReadDeadline(at time.Time) error {
	if c.isClosed.Load() {
		return net.ErrClosed
	}
	return c.UnixConn.SetReadDeadline(at)
}

// SetWriteDeadline is for writes.
func (c *slotConn) SetWriteDeadline(at time.Time) error {
	if c.isClosed.Load() {
		return net.ErrClosed
	}
	return c.UnixConn.SetWriteDeadline(at)
}
