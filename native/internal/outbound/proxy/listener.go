package proxy

import (
	"errors"
	"net"
	"sync"
	"time"
)

// boundedListener closes connections beyond its places.
type boundedListener struct {
	*net.TCPListener
	places chan struct{}
}

// Accept implements net.Listener. It ends with the listener alone.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			time.Sleep(acceptPause)
			continue
		}
		select {
		case l.places <- struct{}{}:
			return &placed{TCPConn: conn, free: sync.OnceFunc(func() { <-l.places })}, nil
		default:
			_ = conn.Close()
		}
	}
}

// placed gives its place back when it is closed.
type placed struct {
	*net.TCPConn
	free func()
}

func (c *placed) Close() error {
	defer c.free()
	return c.TCPConn.Close()
}
