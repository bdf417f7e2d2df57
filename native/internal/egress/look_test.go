package egress

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// collector keeps what the other end received, of every connection.
type collector struct {
	mu   sync.Mutex
	got  bytes.Buffer
	ends chan struct{}
}

func (c *collector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got.String()
}

func (c *collector) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got.Write(b)
}

func collect(t testing.TB, address string) *collector {
	c := &collector{ends: make(chan struct{}, 100)}
	serveOutside(t, address, func(conn *net.TCPConn) {
		_, _ = io.Copy(c, conn)
		c.ends <- struct{}{}
	})
	return c
}

// clientHello is what a TLS client says first.
func clientHello(t testing.TB, name string) string {
	t.Helper()
	near, far := net.Pipe()
	go func() { _ = tls.Client(near, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake() }()
	header := make([]byte, 5)
	if _, err := io.ReadFull(far, header); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(header[3])<<8|int(header[4]))
	if _, err := io.ReadFull(far, body); err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	return string(header) + string(body)
}

const (
	allowAPI = `{"name":"sandbox","mode":"allowlist","allow":[{"text":"api.example.com","host":"api.example.com","ports":[]},{"text":"203.0.113.0/24","cidr":"203.0.113.0/24","ports":[]}],"deny":[]}`
	denyEvil = `{"name":"sandbox","mode":"public","allow":[],"deny":[{"text":"evil.test","host":"evil.test","ports":[]}]}`
)

func TestWhatAClientSaysFirstMustBeTheNameThatItAskedFor(t *testing.T) {
	s := startGateway(t)
	serveNames(t, zone{"api.example.com": addressesOf(60, "203.0.113.7")})
	far := collect(t, "203.0.113.7:443")
	const end = "\r\n\r\n"
	for name, c := range map[string]struct{ policy, target, first, reason string }{
		"its own name":                     {allowAPI, "api.example.com", clientHello(t, "API.example.com"), ""},
		"no name":                          {allowAPI, "api.example.com", clientHello(t, ""), ""},
		"another":                          {allowAPI, "api.example.com", clientHello(t, "evil.test"), "sni_mismatch"},
		"another where all else is public": {denyEvil, "api.example.com", clientHello(t, "other.test"), "sni_mismatch"},
		"another where nothing is denied":  {publicPolicy, "api.example.com", clientHello(t, "other.test"), ""},
		"half of its own":                  {allowAPI, "api.example.com", clientHello(t, "api.example.com")[:100], "sni_mismatch"},
		"a denied one to an address":       {denyEvil, "203.0.113.7", clientHello(t, "evil.test"), "deny_rule"},
		"another to an address":            {denyEvil, "203.0.113.7", clientHello(t, "other.test"), ""},
		"a host":                           {allowAPI, "api.example.com", "GET / HTTP/1.1\r\nHost: api.example.com" + end + "body", ""},
		"a host behind empty lines":        {allowAPI, "api.example.com", "\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test" + end, "host_mismatch"},
		"another host":                     {allowAPI, "api.example.com", "GET / HTTP/1.1\r\nHost: evil.test" + end, "host_mismatch"},
		"half a head":                      {allowAPI, "api.example.com", "GET / HTTP/1.1\r\nHost: evil", "host_mismatch"},
		"half a word":                      {allowAPI, "api.example.com", "GE", ""},
		"another host where it is public":  {denyEvil, "api.example.com", "GET / HTTP/1.1\r\nHost: other.test" + end, ""},
		"another host to an address":       {allowAPI, "203.0.113.7", "GET / HTTP/1.1\r\nHost: other.test" + end, ""},
		"another protocol":                 {allowAPI, "api.example.com", "\x00\x01\x02", ""},
	} {
		for _, piece := range []int{1, 7, len(c.first)} {
			a := s.sandboxOf("sb-"+t.Name(), c.policy)
			slot := a.must(c.target, 443)
			if first := s.event("decision"); first["decision"] != "allowed" {
				t.Fatalf("%s: %v", name, first)
			}
			for rest := c.first; rest != ""; {
				n := min(piece, len(rest))
				if _, err := slot.Write([]byte(rest[:n])); err != nil && c.reason == "" {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			_ = slot.CloseWrite()
			<-far.ends
			got := far.text()
			if c.reason == "" {
				if got != c.first {
					t.Errorf("%s: the other end received %q", name, got)
				}
				if closed := s.event("closed"); closed["reason"] != "ended" {
					t.Errorf("%s: %v", name, closed)
				}
			} else {
				denial := s.event("decision")
				if denial["decision"] != "denied" || denial["reason"] != c.reason || denial["flow"] == nil {
					t.Errorf("%s: %v", name, denial)
				}
				if strings.Trim(got, "\r\n") != "" {
					t.Errorf("%s: the other end received %q", name, got)
				}
				if closed := s.event("closed"); closed["reason"] != "reset" {
					t.Errorf("%s: %v", name, closed)
				}
			}
			far.mu.Lock()
			far.got.Reset()
			far.mu.Unlock()
			s.must(`"op":"drop","sandbox":"sb-` + t.Name() + `"`)
		}
	}
}

func TestAServerThatSpeaksFirstIsHeardBeforeTheClientSaysAnything(t *testing.T) {
	s := startGateway(t)
	serveNames(t, zone{"api.example.com": addressesOf(60, "203.0.113.7")})
	serveOutside(t, "203.0.113.7:25", func(conn *net.TCPConn) {
		_, _ = conn.Write([]byte("220 hello\r\n"))
		_, _ = io.Copy(conn, conn)
	})
	slot := s.sandboxOf("sb-1", allowAPI).must("api.example.com", 25)
	greeting := make([]byte, 11)
	if _, err := io.ReadFull(slot, greeting); err != nil || string(greeting) != "220 hello\r\n" {
		t.Fatalf("%q, %v", greeting, err)
	}
	exchange(t, slot, "EHLO me\r\n")
}

func TestTLSGoesThroughToItsOwnName(t *testing.T) {
	s := startGateway(t)
	serveNames(t, zone{"api.example.com": addressesOf(60, "203.0.113.7")})
	far := collect(t, "203.0.113.7:443")
	slot := s.sandboxOf("sb-1", allowAPI).must("api.example.com", 443)
	long := clientHello(t, "api.example.com") + strings.Repeat("x", 200_000)
	if _, err := slot.Write([]byte(long)); err != nil {
		t.Fatal(err)
	}
	_ = slot.CloseWrite()
	<-far.ends
	if far.text() != long {
		t.Errorf("%d bytes of %d arrived", len(far.text()), len(long))
	}
}
