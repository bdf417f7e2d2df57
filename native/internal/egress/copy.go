package egress

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var buffers = sync.Pool{New: func() any { return new([copyBytes]byte) }}

// pump copies until the source ends. A buffer is held from a read to the end of its write, so that a connection on which
// nothing comes costs none. A search that there is may end it before something is passed on.
func (f *flow) pump(ctx context.Context, to net.Conn, from syscall.Conn, count *atomic.Int64, search func([]byte) error) error {
	raw, err := from.SyscallConn()
	if err != nil {
		return err
	}
	for {
		buffer, n, err := readPooled(raw)
		if err == nil && search != nil {
			err = search(buffer[:n])
		}
		if err == nil {
			err = f.pass(ctx, to, buffer[:n], count)
		}
		if buffer != nil {
			buffers.Put(buffer)
		}
		if err != nil {
			return err
		}
	}
}

// pass writes what was read, at the sandbox's rate.
func (f *flow) pass(ctx context.Context, to net.Conn, bytes []byte, count *atomic.Int64) error {
	if err := f.sandbox.rates.bytes.WaitN(ctx, len(bytes)); err != nil {
		return err
	}
	n, err := to.Write(bytes)
	count.Add(int64(n))
	f.lastByte.Store(time.Now().UnixNano())
	return err
}

// readPooled waits until there is something to read, then takes a buffer.
func readPooled(raw syscall.RawConn) (*[copyBytes]byte, int, error) {
	var buffer *[copyBytes]byte
	var n int
	var failure error
	err := raw.Read(func(fd uintptr) bool {
		buffer = buffers.Get().(*[copyBytes]byte)
		for {
			n, failure = unix.Read(int(fd), buffer[:])
			if failure != unix.EINTR {
				break
			}
		}
		if failure == unix.EAGAIN {
			buffers.Put(buffer)
			buffer = nil
			return false
		}
		return true
	})
	switch {
	case err != nil:
		return buffer, 0, err
	case failure != nil:
		return buffer, 0, failure
	case n == 0:
		return buffer, 0, io.EOF
	}
	return buffer, n, nil
}
