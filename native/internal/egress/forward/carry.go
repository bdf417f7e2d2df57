package forward

import (
	"context"
	"io"
	"net"
	"sync"
)

// relay carries what comes to a listener to one host and port, as long as it can be taken.
func (f *Forward) relay(listener net.Listener, to string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
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
