package egress

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	apiHost     = "api.example.com"
	placeholder = "stacyvm-secret-0123456789abcdef"
	// secretValue has whatever encodings differ in.
	secretValue = `sk-hunter2/+&"hunter2`
)

// issuer is an authority of the tests' Internet.
type issuer struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	text        string
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{key, certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

func (i *issuer) issue(t testing.TB, host string, until time.Time) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, i.certificate, &i.key.PublicKey, i.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: i.key}
}

// seenRequest is a request that arrived at a far end.
type seenRequest struct {
	*http.Request
	body string
}

// farEnd is a server outside that keeps what it is asked.
type farEnd struct {
	server *http.Server
	conns  *counter

	mu   sync.Mutex
	seen []seenRequest
}

func (f *farEnd) all() []seenRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]seenRequest(nil), f.seen...)
}

func (f *farEnd) last(t testing.TB) seenRequest {
	t.Helper()
	seen := f.all()
	if len(seen) == 0 {
		t.Fatal("no request arrived")
	}
	return seen[len(seen)-1]
}

// keep notes a request, with its body if it is read.
func (f *farEnd) keep(r *http.Request, isRead bool) string {
	var body []byte
	if isRead {
		body, _ = io.ReadAll(r.Body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = append(f.seen, seenRequest{r, string(body)})
	return string(body)
}

// countingListener says how often it was connected to.
type countingListener struct {
	net.Listener
	seen *counter
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.seen.mu.Lock()
		l.seen.conns++
		l.seen.mu.Unlock()
	}
	return conn, err
}

// serveHTTP serves outside, over TLS if there is a configuration, until the test ends.
func serveHTTP(t testing.TB, address string, config *tls.Config, handler func(*farEnd) http.HandlerFunc) *farEnd {
	t.Helper()
	far := &farEnd{conns: &counter{}}
	far.server = &http.Server{Handler: handler(far), TLSConfig: config.Clone(), ErrorLog: log.New(io.Discard, "", 0), DisableGeneralOptionsHandler: true}
	listener := countingListener{listenOutside(t, address), far.conns}
	go func() {
		if config == nil {
			_ = far.server.Serve(listener)
		} else {
			_ = far.server.ServeTLS(listener, "", "")
		}
	}()
	t.Cleanup(func() { _ = far.server.Close() })
	return far
}

// answering keeps each request and answers what it says.
func answering(answer func(w http.ResponseWriter, r *http.Request, body string)) func(*farEnd) http.HandlerFunc {
	return func(far *farEnd) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body := far.keep(r, true)
			answer(w, r, body)
		}
	}
}

// echoing answers with what came: headers and body.
func echoing(w http.ResponseWriter, r *http.Request, body string) {
	w.Header().Set("X-Echo", r.Header.Get("Authorization"))
	_, _ = fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("Authorization"), r.Header.Get("X-Key"), body)
}

// internet is a gateway, and a far end that is api.example.com.
type internet struct {
	*server
	issuer *issuer
	far    *farEnd
}

// startInternet serves the API at 203.0.113.7:443, by a certificate of an authority that the gateway trusts.
func startInternet(t testing.TB, handler func(*farEnd) http.HandlerFunc) *internet {
	t.Helper()
	issuer := newIssuer(t)
	i := startInternetWith(t, issuer, &tls.Config{Certificates: []tls.Certificate{issuer.issue(t, apiHost, time.Now().Add(time.Hour))}}, handler)
	return i
}

func startInternetWith(t testing.TB, issuer *issuer, config *tls.Config, handler func(*farEnd) http.HandlerFunc) *internet {
	t.Helper()
	i := &internet{startGateway(t), issuer, nil}
	serveNames(t, zone{apiHost: addressesOf(3600, "203.0.113.7"), "other.test": addressesOf(3600, "203.0.113.7")})
	if handler != nil {
		i.far = serveHTTP(t, "203.0.113.7:443", config, handler)
	}
	i.trust(issuer.text)
	return i
}

func (i *internet) trust(roots string) {
	i.t.Helper()
	i.must(fmt.Sprintf(`"op":"configure","resolvers":["203.0.113.53:53"],"open":[],"roots":%q`, roots))
}

// spec is an interception, as the server writes one.
type spec struct {
	Seed    string           `json:"seed"`
	Secrets []map[string]any `json:"secrets"`
	Inject  []map[string]any `json:"inject"`
}

func entry(name, value string, more map[string]any) map[string]any {
	made := map[string]any{"name": name, "host": apiHost, "port": 443}
	if value != "" {
		made["value"] = value
	}
	for member, is := range more {
		made[member] = is
	}
	return made
}

// withSecret has a placeholder for the API, withHeader a header of every request to it; without a value they were revoked.
func withSecret(value string) spec {
	return spec{seeds["one"], []map[string]any{entry("KEY", value, map[string]any{"placeholder": placeholder})}, nil}
}

func withHeader(value string) spec {
	return spec{seeds["one"], nil, []map[string]any{entry("KEY", value, map[string]any{"header": "Authorization", "before": "Bearer ", "after": ""})}}
}

// inside is a sandbox whose programs trust its authority.
type inside struct {
	*agent
	server *server
	id     string
	pool   *x509.CertPool
}

func (i *internet) inside(id, policies string, spec spec) *inside {
	i.t.Helper()
	in := &inside{startAgent(i.t), i.server, id, x509.NewCertPool()}
	answer := in.set(policies, spec)
	if !in.pool.AppendCertsFromPEM([]byte(answer["authority"].(string))) {
		i.t.Fatal("the authority is no certificate")
	}
	return in
}

func (in *inside) set(policies string, spec spec) map[string]any {
	in.t.Helper()
	text, err := json.Marshal(spec)
	if err != nil {
		in.t.Fatal(err)
	}
	return in.server.must(setLine(in.id, in.agent, policies, string(text)))
}

// dial connects as a program does.
func (in *inside) dial(host string, port int) (net.Conn, error) {
	slot, answer := in.connect(host, port)
	if !answer.OK {
		return nil, fmt.Errorf("%s", answer.Error)
	}
	return slot, nil
}

// tls shakes hands with a host, offering protocols.
func (in *inside) tls(protocols ...string) (*tls.Conn, error) {
	conn, err := in.dial(apiHost, 443)
	if err != nil {
		return nil, err
	}
	client := tls.Client(conn, &tls.Config{RootCAs: in.pool, ServerName: apiHost, NextProtos: protocols})
	return client, client.Handshake()
}

func (in *inside) mustTLS(protocols ...string) *tls.Conn {
	in.t.Helper()
	conn, err := in.tls(protocols...)
	if err != nil {
		in.t.Fatal(err)
	}
	return conn
}

// client is a program's, of one protocol, or of both.
func (in *inside) client(protocols ...string) *http.Client {
	transport := &http.Transport{
		DialTLSContext:        func(context.Context, string, string) (net.Conn, error) { return in.tls(protocols...) },
		DialContext:           func(context.Context, string, string) (net.Conn, error) { return in.dial(apiHost, 443) },
		ForceAttemptHTTP2:     true,
		DisableCompression:    true,
		ExpectContinueTimeout: patience,
	}
	in.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

type request struct {
	method, url, body string
	header            map[string]string
}

// send sends a request and reads the answer.
func send(t testing.TB, client *http.Client, from request) (*http.Response, string) {
	t.Helper()
	if from.url == "" {
		from.url = "https://" + apiHost + "/v1/x?q=1"
	}
	r, err := http.NewRequest(from.method, from.url, strings.NewReader(from.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range from.header {
		r.Header.Set(name, value)
	}
	if host := from.header["Host"]; host != "" {
		r.Host = host
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// decisionOf waits for the next decision of a kind.
func (s *server) decisionOf(kind string) map[string]any {
	s.t.Helper()
	for {
		if event := s.event("decision"); event["kind"] == kind {
			return event
		}
	}
}

var bothProtocols = map[string][]string{"http/1.1": {"http/1.1"}, "h2": {"h2", "http/1.1"}}
