package process

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/output"
)

// bulkPipeBytes is what a pipe is grown to once a process fills it.
const bulkPipeBytes = 256 << 10

// terminalDrainBytes bounds what is read from a terminal after its leader has exited.
const terminalDrainBytes = 64 << 10

var buffers = sync.Pool{New: func() any { return new([bound.ChunkBytes]byte) }}

// giveBuffer takes back memory that a ring has owned.
func giveBuffer(data []byte) {
	if cap(data) == bound.ChunkBytes {
		buffers.Put((*[bound.ChunkBytes]byte)(data[:bound.ChunkBytes]))
	}
}

// pump moves one stream from its pipe to the ring. Idle, it holds no buffer.
type pump struct {
	file   *os.File
	stream output.Stream
	keep   func(data []byte) int
	ring   *output.Ring
	grown  bool
	// leaderGone says that the leader has exited; only the pump itself uses it.
	leaderGone bool
	settled    chan struct{}
	ended      chan struct{}
	once       sync.Once
}

func newPump(file *os.File, stream output.Stream, ring *output.Ring, keep func([]byte) int) *pump {
	return &pump{
		file: file, stream: stream, ring: ring, keep: keep,
		settled: make(chan struct{}), ended: make(chan struct{}),
	}
}

func (p *pump) run() {
	defer close(p.ended)
	defer p.settle()
	defer func() { _ = p.file.Close() }()
	raw, err := p.file.SyscallConn()
	if err != nil {
		return
	}
	for {
		var buf *[bound.ChunkBytes]byte
		var n int
		var readErr error
		err := raw.Read(func(fd uintptr) bool {
			buf = buffers.Get().(*[bound.ChunkBytes]byte)
			n, readErr = readOnce(int(fd), buf[:])
			if readErr != unix.EAGAIN && !p.vacant(readErr) {
				return true
			}
			buffers.Put(buf)
			buf = nil
			return false
		})
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if !p.drain() {
				return
			}
		case err != nil || readErr != nil || n <= 0:
			if buf != nil {
				buffers.Put(buf)
			}
			return
		default:
			p.deliver(buf, n)
		}
	}
}

// leaderExited makes the pump read what the pipe holds now and then say so on settled.
func (p *pump) leaderExited() { _ = p.file.SetReadDeadline(time.Unix(1, 0)) }

// drain reads without waiting what was in the pipe when the leader had exited. False means the stream has ended.
func (p *pump) drain() bool {
	raw, err := p.file.SyscallConn()
	if err != nil {
		return false
	}
	p.leaderGone = true
	budget := -1
	for {
		buf := buffers.Get().(*[bound.ChunkBytes]byte)
		var n int
		var readErr error
		err := raw.Control(func(fd uintptr) {
			if budget < 0 {
				budget = p.pending(int(fd))
			}
			n, readErr = readOnce(int(fd), buf[:])
		})
		if err != nil || readErr != nil || n <= 0 {
			buffers.Put(buf)
			if err == nil && readErr == unix.EAGAIN {
				break
			}
			return false
		}
		p.deliver(buf, n)
		if budget -= n; budget <= 0 {
			break
		}
	}
	_ = p.file.SetReadDeadline(time.Time{})
	p.settle()
	return true
}

// vacant says that a terminal has nobody who holds it open. Its leader can open it again, and would be hung up were the
// master closed: the stream ends with the leader.
func (p *pump) vacant(readErr error) bool {
	return readErr == unix.EIO && p.stream == output.Pty && !p.leaderGone
}

func (p *pump) pending(fd int) int {
	if p.stream == output.Pty {
		return terminalDrainBytes
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return terminalDrainBytes
	}
	return max(n, 1)
}

func (p *pump) settle() { p.once.Do(func() { close(p.settled) }) }

func (p *pump) deliver(buf *[bound.ChunkBytes]byte, n int) {
	if n == len(buf) && !p.grown && p.stream != output.Pty {
		p.grown = true
		if raw, err := p.file.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, bulkPipeBytes) })
		}
	}
	kept := p.keep(buf[:n])
	if kept >= len(buf)/2 {
		p.ring.Append(p.stream, buf[:kept], true)
		return
	}
	if kept > 0 {
		p.ring.Append(p.stream, buf[:kept], false)
	}
	buffers.Put(buf)
}

func readOnce(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buf)
		if err != unix.EINTR {
			return n, err
		}
	}
}
