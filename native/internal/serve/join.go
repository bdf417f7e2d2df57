package serve

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// join copies both ways and passes each end's half-close on. A broken direction breaks the other. Where the host's end
// is gone altogether nobody is left to hear the program, and what was sent before has the linger to arrive.
func join(conn, host halfCloser, linger time.Duration) {
	watch, err := whenGone(host, func() {
		_ = conn.SetReadDeadline(time.Now())
		_ = conn.SetWriteDeadline(time.Now().Add(linger))
	})
	if err != nil {
		return
	}
	defer func() { _ = watch.Close() }()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		carry(conn, host)
	}()
	carry(host, conn)
	<-ended
}

// carry copies by a buffer of its own: under gVisor what the kernel would splice comes out wrong.
func carry(to, from halfCloser) {
	_, err := io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
	switch {
	case err == nil:
		_ = to.CloseWrite()
	case !errors.Is(err, os.ErrDeadlineExceeded):
		_ = to.Close()
		_ = from.Close()
	}
}

// whenGone calls act once both directions of the connection are over, which no read can tell from a half-close, until
// it is closed. It has a descriptor of its own: those who read or write the connection don't wait for it.
func whenGone(conn halfCloser, act func()) (io.Closer, error) {
	if attached, ok := conn.(interface{ Gone() <-chan struct{} }); ok {
		return whenTold(attached.Gone(), act), nil
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	file, err := unixConn.File()
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	go func() {
		if raw.Read(hungUp) == nil {
			act()
		}
	}()
	return file, nil
}

// whenTold calls act once the channel is closed, until it is itself.
func whenTold(gone <-chan struct{}, act func()) io.Closer {
	watch := &toldWatch{over: make(chan struct{})}
	go func() {
		select {
		case <-gone:
			act()
		case <-watch.over:
		}
	}()
	return watch
}

type toldWatch struct{ over chan struct{} }

func (w *toldWatch) Close() error {
	close(w.over)
	return nil
}

func hungUp(fd uintptr) bool {
	look := []unix.PollFd{{Fd: int32(fd)}}
	n, err := unix.Poll(look, 0)
	return err == nil && n > 0
}
