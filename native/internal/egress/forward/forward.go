// Package forward is the proxy of what the server itself asks: its own requests, and programs that ask for it. Where a
// program can be kept in a network of its own, the proxy is all that it reaches.
package forward

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"time"

	"stacyvm/native/internal/egress"
)

const (
	// headTimeout bounds a request's line and header.
	headTimeout = 30 * time.Second
	// parentTimeout bounds a tunnel's opening by the operator's proxy.
	parentTimeout = 30 * time.Second
	// headBytes bounds a request's line and header, and those of an answer.
	headBytes = 64 << 10
	// onlyHeader asks with "address" for a decision and no tunnel.
	onlyHeader = "Stacyvm-Only"
	// user goes with the password, as credentials have a name.
	user = "stacyvm"
)

// Config is what the server tells.
type Config struct {
	egress.Networks
	// Known are hosts with ports that the operator named, wherever they are.
	Known []string `json:"known"`
}

// Variable has the configuration as JSON.
const Variable = "STACYVM_FORWARD"

// parents are the variables that name the operator's own proxies, as net/http reads them.
var parents = []string{"HTTP_PROXY", "HTTPS_PROXY"}

// Forward is an HTTP proxy for whoever knows its password.
type Forward struct {
	client   *egress.Client
	password string
	// told gets a line for each connection that couldn't be made: of some a client says nothing but a status.
	told    io.Writer
	reverse *httputil.ReverseProxy
}

// New reads the configuration, and from the environment the operator's own proxies, which are asked in the client's stead.
func New(config Config, told io.Writer) (*Forward, error) {
	known := config.Known
	for _, name := range parents {
		if text := os.Getenv(name); text != "" {
			address, err := url.Parse(text)
			if err != nil {
				return nil, fmt.Errorf("%s is no address", name)
			}
			known = append(known, authority(address))
		}
	}
	client, err := egress.NewClient(config.Networks, known)
	if err != nil {
		return nil, err
	}
	f := &Forward{client: client, password: rand.Text(), told: told}
	f.reverse = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.RawQuery = r.In.URL.RawQuery },
		Transport: &http.Transport{
			Proxy: func(r *http.Request) (*url.URL, error) {
				return f.parent(r.Context(), r.URL, authority(r.URL))
			},
			DialContext:            func(ctx context.Context, _, to string) (net.Conn, error) { return client.Dial(ctx, to) },
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: headBytes,
		},
		FlushInterval: -1,
		ErrorLog:      silent,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			status, reason := f.explain(err)
			http.Error(w, reason, status)
		},
	}
	return f, nil
}

var silent = log.New(io.Discard, "", 0)

// Address is the proxy's URL at a listener, with the password.
func (f *Forward) Address(at net.Addr) string { return f.address(at.String()) }

func (f *Forward) address(at string) string {
	return (&url.URL{Scheme: "http", User: url.UserPassword(user, f.password), Host: at}).String()
}

// Serve answers until the listener is closed.
func (f *Forward) Serve(listener net.Listener) error {
	server := &http.Server{
		Handler: f, ReadHeaderTimeout: headTimeout, MaxHeaderBytes: headBytes, DisableGeneralOptionsHandler: true, ErrorLog: silent,
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	return server.Serve(listener)
}

// ServeHTTP implements http.Handler.
func (f *Forward) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+f.password))
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Proxy-Authorization")), []byte(want)) != 1 {
		w.Header().Set("Proxy-Authenticate", `Basic realm="stacyvm"`)
		http.Error(w, "this proxy is the server's own", http.StatusProxyAuthRequired)
		return
	}
	switch {
	case r.Method == http.MethodConnect:
		f.tunnel(w, r)
	case r.URL.Scheme == "http" && r.URL.Host != "":
		f.reverse.ServeHTTP(w, r)
	default:
		http.Error(w, "a proxy takes CONNECT, and requests for whole http:// URLs", http.StatusBadRequest)
	}
}

func (f *Forward) tunnel(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(onlyHeader) == "address" {
		f.decide(w, r)
		return
	}
	far, err := f.connect(r.Context(), r.Host)
	conn, buffered, hijackErr := http.NewResponseController(w).Hijack()
	if hijackErr != nil {
		if far != nil {
			_ = far.Close()
		}
		return
	}
	defer func() { _ = conn.Close() }()
	if err != nil {
		status, reason := f.explain(err)
		// A client has of a refused tunnel this line alone.
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, reason)
		return
	}
	defer func() { _ = far.Close() }()
	if conn.SetDeadline(time.Time{}) != nil {
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	if _, err := far.Write(early); err == nil {
		carry(conn, far)
	}
}

// decide answers whether a tunnel would be opened, as far as the address decides it.
func (f *Forward) decide(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close") // no tunnel comes after it
	if err := f.client.Decide(r.Context(), r.Host); err != nil {
		status, reason := f.explain(err)
		http.Error(w, reason, status)
	}
}

// connect opens what a tunnel leads to.
func (f *Forward) connect(ctx context.Context, to string) (net.Conn, error) {
	parent, err := f.parent(ctx, &url.URL{Scheme: "https", Host: to}, to)
	if err != nil {
		return nil, err
	}
	if parent == nil {
		return f.client.Dial(ctx, to)
	}
	return f.connectBy(ctx, parent, to)
}

// parent is the operator's proxy for an address, nil where there is none. It makes its own rules, and knows names that this
// host doesn't; what this host knows to be internal it is not asked for.
func (f *Forward) parent(ctx context.Context, address *url.URL, to string) (*url.URL, error) {
	parent, err := http.ProxyFromEnvironment(&http.Request{URL: address})
	if err != nil || parent == nil {
		return nil, err
	}
	if err := f.client.Decide(ctx, to); errors.Is(err, egress.ErrInternal) {
		return nil, err
	}
	return parent, nil
}

const reasonMax = 300

// explain puts an error on one line, and tells it.
func (f *Forward) explain(err error) (status int, reason string) {
	var answered *parentAnswer
	switch {
	case errors.Is(err, egress.ErrInternal):
		status = http.StatusForbidden
	case errors.As(err, &answered):
		status = answered.status
	default:
		status = http.StatusBadGateway
	}
	text := err.Error()
	reason = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text[:min(len(text), reasonMax)])
	_, _ = fmt.Fprintln(f.told, reason)
	return status, reason
}

func authority(address *url.URL) string {
	port := address.Port()
	switch {
	case port != "":
	case address.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(address.Hostname(), port)
}
