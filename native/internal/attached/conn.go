package attached

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// keptBytes is what a drained connection keeps of its buffer.
const keptBytes = 16 << 10

// conn behaves as the accepted end of a unix socket does: what arrived before the host went can still be read.
type conn struct {
	l       *Listener
	session *session
	id      uint32

	reads, writes           sync.Mutex
	readable, writable      chan struct{}
	readUntil, writeUntil   *deadline
	hostLeft, closedChannel chan struct{}

	// Under the listener's mu.
	in       bytes.Buffer
	ended    bool // the host sends no more
	gone     bool // nor does it read
	credit   int  // bytes that it takes
	consumed int  // read, and not yet told
	queued   bool // a frame that tells waits
	wroteEnd bool
	closed   bool
}

func newConn(l *Listener, s *session, id uint32) *conn {
	return &conn{
		l: l, session: s, id: id, credit: windowBytes,
		readable: make(chan struct{}, 1), writable: make(chan struct{}, 1),
		readUntil: newDeadline(), writeUntil: newDeadline(),
		hostLeft: make(chan struct{}), closedChannel: make(chan struct{}),
	}
}

// hostGone is what a closed socket's peer sees; the caller holds mu.
func (c *conn) hostGone() {
	if c.gone {
		return
	}
	c.ended, c.gone = true, true
	close(c.hostLeft)
	wake(c.readable)
	wake(c.writable)
}

// Gone is closed once the host neither reads nor writes any more.
func (c *conn) Gone() <-chan struct{} { return c.hostLeft }

func (c *conn) Read(p []byte) (int, error) {
	c.reads.Lock()
	defer c.reads.Unlock()
	for {
		late := c.readUntil.wait()
		if isClosed(late) {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := c.tryRead(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		select {
		case <-c.readable:
		case <-late:
			return 0, os.ErrDeadlineExceeded
		case <-c.closedChannel:
		}
	}
}

func (c *conn) tryRead(p []byte) (int, error) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	if c.in.Len() == 0 {
		if c.ended {
			return 0, io.EOF
		}
		return 0, nil
	}
	n, _ := c.in.Read(p)
	if c.in.Len() == 0 && c.in.Cap() > keptBytes {
		c.in = bytes.Buffer{}
	}
	c.consumed += n
	if c.consumed >= windowBytes/2 && !c.queued && !c.ended {
		c.queued = c.l.control(c.session, control{kind: kindWindow, stream: c.id, window: c})
	}
	return n, nil
}

func (c *conn) Write(p []byte) (int, error) {
	c.writes.Lock()
	defer c.writes.Unlock()
	sent := 0
	for sent < len(p) {
		late := c.writeUntil.wait()
		if isClosed(late) {
			return sent, os.ErrDeadlineExceeded
		}
		n, err := c.takeCredit(min(len(p)-sent, frameBytes))
		if err != nil {
			return sent, err
		}
		if n == 0 {
			select {
			case <-c.writable:
			case <-late:
				return sent, os.ErrDeadlineExceeded
			case <-c.closedChannel:
			}
			continue
		}
		if err := c.l.sendData(c, p[sent:sent+n]); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

func (c *conn) takeCredit(most int) (int, error) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	switch {
	case c.closed || c.wroteEnd:
		return 0, net.ErrClosed
	case c.gone:
		return 0, syscall.EPIPE
	}
	n := min(most, c.credit)
	c.credit -= n
	return n, nil
}

// CloseWrite ends this direction.
func (c *conn) CloseWrite() error {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	if c.wroteEnd || c.gone {
		return nil
	}
	c.wroteEnd = true
	c.l.control(c.session, control{kind: kindEnd, stream: c.id})
	return nil
}

func (c *conn) Close() error {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	close(c.closedChannel)
	c.in = bytes.Buffer{}
	if !c.gone {
		delete(c.session.conns, c.id)
		c.l.control(c.session, control{kind: kindClose, stream: c.id})
	}
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return address{} }
func (c *conn) RemoteAddr() net.Addr { return address{} }

func (c *conn) SetDeadline(t time.Time) error {
	c.readUntil.set(t)
	c.writeUntil.set(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.readUntil.set(t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.writeUntil.set(t)
	return nil
}
