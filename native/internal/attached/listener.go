package attached

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// Listener accepts the connections that the attached host opens.
type Listener struct {
	out      io.Writer
	accepted chan net.Conn
	wake     chan struct{} // the controls have something to send
	closed   chan struct{}
	closing  sync.Once
	done     chan struct{}

	// writing is held for each write, and taken before mu.
	writing sync.Mutex
	frame   []byte

	mu      sync.Mutex
	session *session // never nil; dead before the first hello
}

// session is what lasts from one hello to the next.
type session struct {
	nonce []byte
	seed  uint32
	dead  bool
	conns map[uint32]*conn
	last  uint32

	acknowledged, pong, lost bool
	controls                 []control
}

// control is a frame that nobody waits for.
type control struct {
	kind   kind
	stream uint32
	// window is the connection whose credit is taken when the frame is written.
	window *conn
}

// maxControls bounds the frames that wait for an output which nobody reads.
const maxControls = 4096

// Listen reads from in until its end, which closes the listener, and writes to out.
func Listen(in io.Reader, out io.Writer) *Listener {
	l := &Listener{
		out: out, accepted: make(chan net.Conn, maxStreams), wake: make(chan struct{}, 1),
		closed: make(chan struct{}), done: make(chan struct{}), frame: make([]byte, 0, headerSize+frameBytes),
		session: &session{dead: true},
	}
	go l.receive(newReceiver(in))
	go l.sendControls()
	return l
}

// Accept returns a connection of whichever host is attached.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close accepts no more connections; those that were made go on.
func (l *Listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return nil
}

// Done is closed once the input has ended: nobody can attach any more.
func (l *Listener) Done() <-chan struct{} { return l.done }

// Addr has nothing to say.
func (l *Listener) Addr() net.Addr { return address{} }

type address struct{}

func (address) Network() string { return "attached" }
func (address) String() string  { return "attached" }

func (l *Listener) receive(r *receiver) {
	defer close(l.done)
	for {
		m, err := r.next()
		switch {
		case errors.Is(err, errBroken):
			l.lose()
		case err != nil:
			l.mu.Lock()
			l.end(l.session)
			l.mu.Unlock()
			return
		case m.nonce != nil:
			l.begin(m.nonce)
		default:
			if !l.take(m) {
				r.framing = false
				l.lose()
			}
		}
	}
}

// begin replaces the session, whose connections end.
func (l *Listener) begin(nonce []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(l.session)
	l.session = &session{nonce: nonce, seed: seedOf(nonce), conns: map[uint32]*conn{}}
	l.signal()
}

// lose ends the session and tells the host so.
func (l *Listener) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(l.session)
	l.session.lost = true
	l.signal()
}

// end makes each connection of a session see its host gone; the caller holds mu.
func (l *Listener) end(s *session) {
	if s.dead {
		return
	}
	s.dead = true
	for _, c := range s.conns {
		c.hostGone()
	}
	s.conns, s.controls = nil, nil
}

// take handles one frame; false means that no host of ours would have sent it.
func (l *Listener) take(m message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.session
	if s.dead {
		return true // of a host that has not heard yet that it lost
	}
	switch m.kind {
	case kindPing:
		s.pong = true
		l.signal()
		return true
	case kindOpen:
		return l.open(s, m.stream)
	}
	if m.stream > s.last || m.stream == 0 {
		return false
	}
	c := s.conns[m.stream]
	if c == nil {
		return true // closed here, which the host has yet to read
	}
	switch m.kind {
	case kindData:
		if c.ended || c.in.Len()+c.consumed+len(m.payload) > windowBytes {
			return false
		}
		_, _ = c.in.Write(m.payload)
		wake(c.readable)
	case kindEnd:
		c.ended = true
		wake(c.readable)
	case kindClose:
		c.hostGone()
		delete(s.conns, c.id)
	case kindWindow:
		if len(m.payload) != 4 {
			return false
		}
		c.credit += int(binary.BigEndian.Uint32(m.payload))
		if c.credit > windowBytes {
			return false
		}
		wake(c.writable)
	default:
		return false
	}
	return true
}

func (l *Listener) open(s *session, id uint32) bool {
	if id <= s.last {
		return false
	}
	s.last = id
	if len(s.conns) >= maxStreams || isClosed(l.closed) {
		return l.control(s, control{kind: kindClose, stream: id})
	}
	c := newConn(l, s, id)
	select {
	case l.accepted <- c:
		s.conns[id] = c
		return true
	default:
		return l.control(s, control{kind: kindClose, stream: id})
	}
}

// control queues a frame; the caller holds mu.
func (l *Listener) control(s *session, frame control) bool {
	if s.dead {
		return true
	}
	if len(s.controls) >= maxControls {
		return false
	}
	s.controls = append(s.controls, frame)
	l.signal()
	return true
}

func (l *Listener) signal() { wake(l.wake) }

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
