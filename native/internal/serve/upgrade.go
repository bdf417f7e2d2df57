package serve

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"time"
)

// What a connection is upgraded to.
const (
	dialProtocol   = "stacyvm-dial"
	egressProtocol = "stacyvm-egress"
)

// asksFor answers a request that doesn't ask for the protocol.
func asksFor(w http.ResponseWriter, r *http.Request, protocol string) bool {
	if r.ProtoMajor == 1 && r.Header.Get("Upgrade") == protocol {
		return true
	}
	w.Header().Set("Upgrade", protocol)
	writeError(w, http.StatusUpgradeRequired, "needs HTTP/1.1 with Upgrade: "+protocol)
	return false
}

// upgrade takes the connection over and answers 101; early is what came behind the request.
func upgrade(w http.ResponseWriter, protocol string) (conn net.Conn, early []byte, err error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if err = conn.SetDeadline(time.Time{}); err == nil {
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n")
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	early, _ = buffered.Reader.Peek(buffered.Reader.Buffered())
	return conn, early, nil
}

// egressUpgrade answers GET /egress with 101; from then on the connection is a slot of the egress gateway's, in a tunnel.
func (s *Server) egressUpgrade(w http.ResponseWriter, r *http.Request) {
	if s.offer == nil {
		writeError(w, http.StatusNotFound, "this sandbox has no outbound network by this way")
		return
	}
	if !asksFor(w, r, egressProtocol) {
		return
	}
	conn, early, err := upgrade(w, egressProtocol)
	if err != nil {
		return
	}
	_ = s.offer(&preceded{conn, bytes.NewReader(early)})
}

// preceded has something that is read first.
type preceded struct {
	net.Conn
	early *bytes.Reader
}

func (p *preceded) Read(to []byte) (int, error) {
	if p.early.Len() > 0 {
		return p.early.Read(to)
	}
	return p.Conn.Read(to)
}
