package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"stacyvm/native/internal/egresswire"
	"stacyvm/native/internal/outbound"
)

// tunnel answers CONNECT.
func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	if r.RequestURI != r.URL.Host || r.ContentLength > 0 || len(r.TransferEncoding) > 0 {
		refuse(w, http.StatusBadRequest, "", "CONNECT takes a host and a port, and no body")
		return
	}
	to, err := parseTarget(r.URL.Host, 0)
	if err != nil {
		fail(w, r.URL.Host, err)
		return
	}
	slot, err := p.open(to)
	if err != nil {
		fail(w, r.URL.Host, err)
		return
	}
	defer func() { _ = slot.Close() }()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	inside, ok := conn.(*placed)
	if !ok || conn.SetDeadline(time.Time{}) != nil {
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	if _, err := slot.Write(early); err != nil {
		_ = inside.SetLinger(0) // the flow was reset already, and the tunnel is with it
		return
	}
	carry(inside.TCPConn, slot)
}

// carry copies both ways until both have ended, or one side resets the connection.
func carry(inside *net.TCPConn, slot *net.UnixConn) {
	var ended atomic.Int32 // directions that came to their end in order
	reset := sync.OnceFunc(func() {
		_ = inside.SetLinger(0)
		_ = inside.Close()
		_ = slot.Close()
	})
	var out sync.WaitGroup
	out.Go(func() {
		if outbound.Copy(slot, inside) != nil {
			reset()
			return
		}
		ended.Add(1)
		if err := slot.CloseWrite(); err != nil && !errors.Is(err, net.ErrClosed) {
			reset()
		}
	})
	if outbound.Copy(inside, slot) != nil || ended.Load() == 0 && egresswire.HungUp(slot) {
		reset()
	} else {
		_ = inside.CloseWrite()
		egresswire.WaitHangup(slot)
		if ended.Load() == 0 {
			reset()
		}
	}
	out.Wait()
}
