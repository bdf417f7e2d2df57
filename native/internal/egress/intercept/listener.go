package intercept

import (
	"io"
	"net"
	"sync"
)

// listener accepts one connection, and ends with it.
type listener struct {
	conn   net.Conn
	closed chan struct{}
	once   sync.Once
	taken  bool
}

func newListener(conn net.Conn) *listener {
	l := &listener{closed: make(chan struct{})}
	l.conn = &tellingConn{conn, l}
	return l
}

func (l *listener) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return l.conn, nil
	}
	<-l.closed
	return nil, io.EOF
}

func (l *listener) Close() error   { return nil }
func (l *listener) Addr() net.Addr { return l.conn.LocalAddr() }

// tellingConn tells its listener that it was closed.
type tellingConn struct {
	net.Conn
	listener *listener
}

func (c *tellingConn) Close() error {
	err := c.Conn.Close()
	c.listener.once.Do(func() { close(c.listener.closed) })
	return err
}
