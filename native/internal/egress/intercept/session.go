package intercept

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// maxHeadBytes bounds the head of a request, and that of a response.
	maxHeadBytes = 64 << 10
	// headTimeout bounds how long a request's head may take, and TLS with both sides.
	headTimeout = 30 * time.Second
	// maxStreams bounds the requests at once on one connection.
	maxStreams = 100
	// continueTimeout is how long a far end is waited for that doesn't say whether it wants a body.
	continueTimeout = time.Second
)

// Session serves one flow: it is the sandbox's far end, and the far end's client.
type Session struct {
	host string
	port uint16
	flow Flow

	ctx       context.Context
	transport *http.Transport
	proxy     http.Handler
	far       farSide

	mu sync.Mutex
	// used are the values that went out, by the names of their secrets.
	used map[string]string
	// running counts the requests that are being served; no new one is once it isEnding.
	running  sync.WaitGroup
	isEnding bool
}

// NewSession returns a session that serves nothing yet.
func NewSession(ctx context.Context, host string, port uint16, flow Flow) *Session {
	s := &Session{host: host, port: port, flow: flow, ctx: ctx, used: map[string]string{}}
	s.transport = &http.Transport{
		DialContext:            s.dialPlain,
		DialTLSContext:         s.dialTLS,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: maxHeadBytes,
		ExpectContinueTimeout:  continueTimeout,
		WriteBufferSize:        pieceBytes,
		ReadBufferSize:         pieceBytes,
	}
	s.proxy = s.newProxy()
	return s
}

// Serve answers what comes on a connection until it ends, which closes it.
func (s *Session) Serve(conn net.Conn, isTLS bool) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	s.far.isTLS = isTLS
	listener := newListener(conn)
	if isTLS {
		listener.conn = s.nearTLS(listener.conn)
	}
	server := &http.Server{
		Handler: s,
		// OPTIONS * is the far end's to answer.
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            headTimeout,
		MaxHeaderBytes:               maxHeadBytes,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:                     silent,
		BaseContext:                  func(net.Listener) context.Context { return ctx },
	}
	_ = server.Serve(listener)
	cancel()
	s.mu.Lock()
	s.isEnding = true
	s.mu.Unlock()
	s.running.Wait()
	s.transport.CloseIdleConnections()
}

// silent is for what net/http would write down: it may have parts of messages.
var silent = log.New(io.Discard, "", 0)

// begin tells whether a request may be served; if so, running has to be told when it was.
func (s *Session) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isEnding {
		return false
	}
	s.running.Add(1)
	return true
}

// use notes that values go out. It fails if other rules hold since they were read: Holds may not have been asked of them.
func (s *Session) use(used map[string]string, rules rules) bool {
	s.mu.Lock()
	for name, value := range used {
		s.used[name] = value
	}
	s.mu.Unlock()
	set, config := s.flow.Rules()
	return set == rules.set && config == rules.config
}

// Holds tells whether every secret that the session has sent is still available with its value.
func (s *Session) Holds(config *Config) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.used) == 0 {
		return true
	}
	values := config.Of(s.host, s.port).values()
	for name, value := range s.used {
		if !slices.Contains(values[name], value) {
			return false
		}
	}
	return true
}
