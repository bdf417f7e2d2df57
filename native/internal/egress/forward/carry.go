package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Relay carries what comes to a listener to one host and port, until the listener is closed.
func (f *Forward) Relay(listener net.Listener, to string) error {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			time.Sleep(acceptPause)
			continue
		}
		go func() {
			defer func() { _ = conn.Close() }()
			far, err := f.client.Dial(context.Background(), to)
			if err != nil {
				f.explain(err)
				return
			}
			defer func() { _ = far.Close() }()
			carry(conn, far)
		}()
	}
}

// acceptPause is between two tries to accept where none succeeds, for want of descriptors.
const acceptPause = 100 * time.Millisecond

// carry copies both ways until both have ended.
func carry(near, far net.Conn) {
	var out sync.WaitGroup
	out.Go(func() { copyTo(far, near) })
	copyTo(near, far)
	out.Wait()
}

// copyTo ends what it sends with what comes, and both sides where that fails.
func copyTo(to, from net.Conn) {
	if _, err := io.Copy(to, from); err != nil || closeWrite(to) != nil {
		_ = to.Close()
		_ = from.Close()
	}
}

func closeWrite(conn net.Conn) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return conn.Close()
}
