// Package serve is the agent's door: Connect services and plain HTTP over one listener.
package serve

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"stacyvm/native/gen/filesystem/filesystemv1connect"
	"stacyvm/native/gen/process/processv1connect"
	"stacyvm/native/gen/stacyvm/guest/v1/guestv1connect"
	"stacyvm/native/internal/account"
	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/files"
	"stacyvm/native/internal/process"
)

const (
	// headerTimeout bounds how long a request may take to state its headers.
	headerTimeout = 10 * time.Second
	// idleTimeout closes connections that nobody uses. The host keeps its own alive.
	idleTimeout = 10 * time.Minute
	// maxStreams bounds the requests at once on one HTTP/2 connection.
	maxStreams = 1000
	// shutdownGrace bounds how long the end waits for killed processes.
	shutdownGrace = 2 * time.Second
)

// Options of a server.
type Options struct {
	Limits   bound.Limits
	Table    *process.Table
	Accounts *account.Database
	Version  string
	// OwnPort is one on which the agent itself listens for the sandbox's programs, and nobody else is let to it; or 0.
	OwnPort uint32
	// OfferSlot takes connections of the egress gateway; nil where they come another way, or not at all.
	OfferSlot func(net.Conn) error
}

// Server answers requests until Shutdown was asked for.
type Server struct {
	limits   bound.Limits
	table    *process.Table
	accounts *account.Database
	files    *files.Files
	version  string
	ownPort  uint32
	offer    func(net.Conn) error
	started  time.Time
	watchers watchers
	uploads  *files.Uploads
	dials    chan struct{}
	done     chan struct{}
	stop     sync.Once
}

// New makes a server.
func New(o Options) *Server {
	s := &Server{
		limits: o.Limits, table: o.Table, accounts: o.Accounts, version: o.Version, ownPort: o.OwnPort, offer: o.OfferSlot, started: time.Now(),
		files: &files.Files{Limits: o.Limits, Accounts: o.Accounts},
		dials: make(chan struct{}, o.Limits.Dials), done: make(chan struct{}),
	}
	s.uploads = files.NewUploads(s.files)
	s.watchers.open = map[string]*pollWatcher{}
	return s
}

// Handler routes every request.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	options := []connect.HandlerOption{
		connect.WithReadMaxBytes(s.limits.MessageBytes), connect.WithCompressMinBytes(1 << 30),
		connect.WithInterceptors(messageBound{s.limits.MessageBytes}),
	}
	mux.Handle(guestv1connect.NewGuestHandler(&guest{s}, options...))
	mux.Handle(processv1connect.NewProcessHandler(&processes{s}, options...))
	mux.Handle(filesystemv1connect.NewFilesystemHandler(&filesystem{s}, options...))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /files", s.download)
	mux.HandleFunc("POST /files", s.upload)
	mux.HandleFunc("GET /files/archive", s.packArchive)
	mux.HandleFunc("POST /files/archive", s.unpackArchive)
	mux.HandleFunc("POST /files/directory", s.makeDirectory)
	s.routeUploads(mux)
	mux.HandleFunc("GET /dial", s.dialUpgrade)
	mux.HandleFunc("GET /egress", s.egressUpgrade)
	mux.HandleFunc("GET /envs", s.envs)
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("POST /init", s.initialise)
	return boundHeaders(s.limits.HeaderBytes, s.limits.MessageBytes, mux)
}

// Serve answers on a listener until Stop or a Shutdown request, then ends every process.
func (s *Server) Serve(listener net.Listener) error {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: s.Handler(), Protocols: protocols, MaxHeaderBytes: s.limits.HeaderBytes + transportSlackBytes,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: 1 << 20, MaxReceiveBufferPerConnection: 4 << 20,
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-s.done:
	}
	s.table.Shutdown(shutdownGrace)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = server.Shutdown(ctx)
	return server.Close()
}

// Stop makes Serve return.
func (s *Server) Stop() { s.stop.Do(func() { close(s.done) }) }
