// Package proxy is the HTTP proxy of sandboxes whose network has no device: CONNECT, and requests in absolute form.
//
// It decides nothing. Each CONNECT and each request becomes a connection that the egress gateway opens or refuses by the
// name it was asked for, and that carries nothing else. What comes from inside and from the far end is hostile alike; what is
// passed on is framed anew, so that nothing of one request can become another.
package proxy

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"time"
)

// Address is where programs inside find the proxy, at Port.
const (
	Address = "127.0.0.1:3128"
	Port    = 3128
)

const (
	// connectionsMax bounds the connections of programs; further ones are closed at once.
	connectionsMax = 1024
	// openingMax bounds the connections that wait for the gateway's word.
	openingMax = 512
	// headerBytesMax bounds a request's line and header, and an answer's.
	headerBytesMax = 64 << 10
	// headerTimeout bounds a request's line and header, from the first byte on.
	headerTimeout = 30 * time.Second
	// idleTimeout ends connections on which no request comes.
	idleTimeout = 2 * time.Minute
	// continueTimeout is until a request's body is sent to a far end that doesn't ask for it.
	continueTimeout = time.Second
	// acceptPause is between two tries to accept where none succeeds, for want of descriptors.
	acceptPause = 100 * time.Millisecond
)

// Connect opens a connection to a name or to an address, one of which is empty, as outbound.Door does.
type Connect func(host, address string, port int) (*net.UnixConn, error)

type proxy struct {
	connect Connect
	used    func()
	opening chan struct{}
	forward *httputil.ReverseProxy
}

// Serve answers on the listener until it is closed. Used is called when something has happened.
func Serve(listener *net.TCPListener, connect Connect, used func()) error {
	p := &proxy{connect: connect, used: used, opening: make(chan struct{}, openingMax)}
	p.forward = p.newForward()
	server := &http.Server{
		Handler: p, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytesMax,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0), // what programs do wrong, they are told
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	err := server.Serve(&boundedListener{TCPListener: listener, places: make(chan struct{}, connectionsMax)})
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer p.used()
	switch {
	case r.Method == http.MethodConnect:
		p.tunnel(w, r)
	case r.URL.Host == "":
		refuse(w, http.StatusBadRequest, "", "this is the sandbox's HTTP proxy: it takes CONNECT, and requests for whole http:// URLs")
	case r.URL.Scheme != "http":
		refuse(w, http.StatusBadRequest, "", "the proxy takes CONNECT for "+printable(r.URL.Scheme)+" URLs, as it can't look into them")
	default:
		p.forwardOne(w, r)
	}
}

// open has the gateway open a connection.
func (p *proxy) open(to target) (*net.UnixConn, error) {
	select {
	case p.opening <- struct{}{}:
		defer func() { <-p.opening }()
	default:
		return nil, errBusy
	}
	return p.connect(to.host, to.address, to.port)
}
