package egresswire

import (
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// chunkBytes is the longest chunk of a tunnel.
const chunkBytes = 32 << 10

// chunks are buffers for one chunk with its length before it. A direction that waits holds none.
var chunks = sync.Pool{New: func() any { chunk := make([]byte, 2+chunkBytes); return &chunk }}

var errChunk = errors.New("malformed chunk")

// Tunnel returns a slot that another connection carries, which can't tell a reset from an end and needn't be a socket: both
// sides of it cut each direction's bytes into chunks, a uint16 length, big-endian, and that many bytes. Length 0 is the
// direction's end; a connection that ends without it is a reset. The connection is the tunnel's from here on.
func Tunnel(conn net.Conn) (*net.UnixConn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	near, err := socket(fds[0])
	if err != nil {
		_ = unix.Close(fds[1])
		return nil, err
	}
	far, err := socket(fds[1])
	if err != nil {
		_ = near.Close()
		return nil, err
	}
	t := &tunnel{conn: conn, slot: far}
	go t.run(t.send)
	go t.run(t.receive)
	return near, nil
}

func socket(fd int) (*net.UnixConn, error) {
	file := os.NewFile(uintptr(fd), "slot")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UnixConn), nil
}

type tunnel struct {
	conn net.Conn
	slot *net.UnixConn

	mu    sync.Mutex
	ended int // directions that came to their end in order
}

// run closes both sides where a direction fails.
func (t *tunnel) run(direction func() error) {
	if direction() != nil {
		t.close()
	}
}

func (t *tunnel) close() {
	_ = t.slot.Close()
	_ = t.conn.Close()
}

// end counts a direction's end, and closes both sides with the second.
func (t *tunnel) end() {
	t.mu.Lock()
	t.ended++
	over := t.ended == 2
	t.mu.Unlock()
	if over {
		t.close()
	}
}

func (t *tunnel) hasEnded() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended > 0
}

// send cuts what comes from the slot into chunks.
func (t *tunnel) send() error {
	for {
		err := t.sendOne()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if HungUp(t.slot) && !t.hasEnded() {
		return net.ErrClosed
	}
	if _, err := t.conn.Write([]byte{0, 0}); err != nil {
		return err
	}
	t.end()
	// Whether the slot goes away still has to be seen.
	WaitHangup(t.slot)
	return net.ErrClosed
}

// sendOne waits without a buffer.
func (t *tunnel) sendOne() error {
	raw, err := t.slot.SyscallConn()
	if err != nil {
		return err
	}
	var chunk *[]byte
	n, failure := 0, error(nil)
	err = raw.Read(func(fd uintptr) bool {
		chunk = chunks.Get().(*[]byte)
		n, failure = unix.Read(int(fd), (*chunk)[2:])
		if failure == unix.EAGAIN {
			chunks.Put(chunk)
			chunk = nil
			return false
		}
		return true
	})
	if chunk == nil {
		return err
	}
	defer chunks.Put(chunk)
	switch {
	case failure == unix.EINTR:
		return nil
	case failure != nil:
		return failure
	case n == 0:
		return io.EOF
	}
	binary.BigEndian.PutUint16(*chunk, uint16(n))
	_, err = t.conn.Write((*chunk)[:2+n])
	return err
}

// receive gives the chunks that come to the slot.
func (t *tunnel) receive() error {
	for {
		var header [2]byte
		if _, err := io.ReadFull(t.conn, header[:]); err != nil {
			return err
		}
		length := int(binary.BigEndian.Uint16(header[:]))
		if length > chunkBytes {
			return errChunk
		}
		if length == 0 {
			break
		}
		if err := t.receiveOne(length); err != nil {
			return err
		}
	}
	if err := t.slot.CloseWrite(); err != nil {
		return err
	}
	t.end()
	// Nothing more comes; whether the other side goes away still has to be seen.
	_, err := t.conn.Read(make([]byte, 1))
	return cmp.Or(err, errChunk)
}

func (t *tunnel) receiveOne(length int) error {
	chunk := chunks.Get().(*[]byte)
	defer chunks.Put(chunk)
	if _, err := io.ReadFull(t.conn, (*chunk)[:length]); err != nil {
		return err
	}
	_, err := t.slot.Write((*chunk)[:length])
	return err
}
