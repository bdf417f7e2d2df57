package outbound

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// lingerTimeout bounds the wait for what the program inside hasn't taken of an ended connection.
	lingerTimeout = 5 * time.Minute
	// lingerLook is how often it is looked whether it has.
	lingerLook = time.Second
)

var errReset = errors.New("the connection was reset")

// stream is the stack's end of a connection of the sandbox. One goroutine may read and one write.
type stream struct {
	end      tcpip.Endpoint
	queue    *waiter.Queue
	readable chan struct{}
	writable chan struct{}
	entries  [3]waiter.Entry
	ended    atomic.Bool // our direction is, in order
}

// newStream calls onReset once when the connection ends before its time; onReset must not wait.
func newStream(end tcpip.Endpoint, queue *waiter.Queue, onReset func()) *stream {
	s := &stream{end: end, queue: queue}
	s.entries[0], s.readable = waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventHUp | waiter.EventErr)
	s.entries[1], s.writable = waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventHUp | waiter.EventErr)
	s.entries[2] = waiter.NewFunctionEntry(waiter.EventHUp|waiter.EventErr, func(waiter.EventMask) {
		if s.isReset() {
			onReset()
		}
	})
	for i := range s.entries {
		queue.EventRegister(&s.entries[i])
	}
	if s.isReset() {
		onReset()
	}
	return s
}

// isReset tells a reset from an end in order: after one that comes when the program has ended its direction already, the stack
// shows a closed connection.
func (s *stream) isReset() bool {
	state := tcp.EndpointState(s.end.State())
	return state == tcp.StateError || state == tcp.StateClose && !s.ended.Load()
}

// readNow takes what is there; zero bytes without an error: nothing yet. io.EOF: the program has ended its direction.
func (s *stream) readNow(into []byte) (int, error) {
	writer := tcpip.SliceWriter(into)
	result, err := s.end.Read(&writer, tcpip.ReadOptions{})
	switch err.(type) {
	case nil:
		return result.Count, nil
	case *tcpip.ErrWouldBlock:
		return 0, nil
	case *tcpip.ErrClosedForReceive:
		return 0, io.EOF
	}
	return 0, errReset
}

// Read is io.Reader's.
func (s *stream) Read(into []byte) (int, error) {
	for {
		n, err := s.readNow(into)
		if n > 0 || err != nil || len(into) == 0 {
			return n, err
		}
		<-s.readable
	}
}

// Write is io.Writer's.
func (s *stream) Write(data []byte) (int, error) {
	left := bytes.NewReader(data)
	for left.Len() > 0 {
		_, err := s.end.Write(left, tcpip.WriteOptions{})
		switch err.(type) {
		case nil:
		case *tcpip.ErrWouldBlock:
			<-s.writable
		default:
			return len(data) - left.Len(), errReset
		}
	}
	return len(data), nil
}

func (s *stream) closeWrite() {
	s.ended.Store(true)
	_ = s.end.Shutdown(tcpip.ShutdownWrite)
}

// abort resets the connection and wakes its reader and writer.
func (s *stream) abort() { s.end.Abort() }

// close is the last call, after those of the reader and the writer. It returns when the program has taken what it was sent,
// or has left it for too long.
func (s *stream) close() {
	defer func() {
		for i := range s.entries {
			s.queue.EventUnregister(&s.entries[i])
		}
	}()
	timeout := tcpip.TCPUserTimeoutOption(lingerTimeout)
	_ = s.end.SetSockOpt(&timeout)
	s.ended.Store(true)
	s.end.Close()
	until := time.Now().Add(lingerTimeout)
	for s.unsent() && time.Now().Before(until) {
		select {
		case <-s.writable:
		case <-time.After(lingerLook):
		}
	}
}

func (s *stream) unsent() bool {
	switch tcp.EndpointState(s.end.State()) {
	case tcp.StateError, tcp.StateClose, tcp.StateTimeWait, tcp.StateFinWait2:
		return false
	}
	size, err := s.end.GetSockOptInt(tcpip.SendQueueSizeOption)
	return err == nil && size > 0
}
