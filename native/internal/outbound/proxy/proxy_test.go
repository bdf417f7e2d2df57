package proxy

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/outbound"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestEachRequestGoesWhereItSaysItself(t *testing.T) {
	s := newSandbox(t, func(to string, far *net.UnixConn) error {
		if strings.HasPrefix(to, "evil") {
			return denied(to, far)
		}
		return web(nil)(to, far)
	})
	c := s.dial()
	status, body := c.ask("GET http://API.example.com./x HTTP/1.1\r\nHost: evil.example\r\n\r\n")
	if status != 200 || body != "api.example.com:80" {
		t.Errorf("%d %s", status, body)
	}
	status, body = c.ask("GET http://evil.example:8080/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n")
	if status != 403 || !strings.Contains(body, "evil.example:8080: denied: the policy doesn't allow it") {
		t.Errorf("%d %s", status, body)
	}
	if status, body = c.ask("GET http://203.0.113.7/ HTTP/1.1\r\nHost: x\r\n\r\n"); status != 200 || body != "203.0.113.7:80" {
		t.Errorf("%d %s", status, body)
	}
	if got := s.targets(); got != "api.example.com:80 evil.example:8080 203.0.113.7:80" {
		t.Error(got)
	}
}

func TestWhatIsPassedOnIsFramedAnewAndWithoutHopByHopHeaders(t *testing.T) {
	got := make(chan string, 1)
	s := newSandbox(t, web(got))
	c := s.dial()
	c.ask("POST http://api.example.com/a%2Fb?x=1;y=%zz HTTP/1.1\r\nHost: evil.example\r\nUser-Agent: it\r\nConnection: keep-alive, X-Hop\r\nProxy-Connection: keep-alive\r\n" +
		"Proxy-Authorization: Basic eDp5\r\nX-Hop: 1\r\nX-Forwarded-For: 1.2.3.4\r\nAuthorization: Basic YTpi\r\nTransfer-Encoding: chunked\r\nContent-Length: 100\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
	want := "POST /a%2Fb?x=1;y=%zz HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: it\r\nTransfer-Encoding: chunked\r\n" +
		"Authorization: Basic YTpi\r\nConnection: close\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	if text := <-got; text != want {
		t.Errorf("%q\nwant\n%q", text, want)
	}
}

func TestNothingOfOneRequestBecomesAnother(t *testing.T) {
	const hidden = "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"
	for _, request := range []string{
		"POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\nContent-Length: " + itoa(len(hidden)) + "\r\n\r\n" + hidden,
		"POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: xchunked\r\n\r\n" + hidden,
		"POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n" + hidden,
		"POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: +0\r\n\r\n" + hidden,
		"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n" + hidden,
		"GET http://a.example/ HTTP/1.1\r\nHost : a.example\r\n\r\n" + hidden,
		"GET http://a.example/\x00 HTTP/1.1\r\nHost: a.example\r\n\r\n" + hidden,
		"GET http://a.example/ HTTP/1.1\r\nX: a\rb\r\nHost: a.example\r\n\r\n" + hidden,
	} {
		s := newSandbox(t, web(nil))
		c := s.dial()
		response := c.begin(request)
		if response.StatusCode/100 == 2 || !response.Close {
			t.Errorf("%q: %s", request, response.Status)
		}
		if got := s.targets(); got != "" {
			t.Errorf("%q reached %s", request, got)
		}
	}
}

func TestAnAnswerIsNotTakenForTheNextRequestsOne(t *testing.T) {
	s := newSandbox(t, func(to string, far *net.UnixConn) error {
		go func() {
			defer far.Close()
			_, _ = far.Read(make([]byte, 1)) // what comes before it was asked is no answer
			_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"+to[:2]+"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			_, _ = io.Copy(io.Discard, far)
		}()
		return nil
	})
	c := s.dial()
	for _, name := range []string{"aa", "bb"} {
		if status, body := c.ask("GET http://" + name + ".example/ HTTP/1.1\r\nHost: x\r\n\r\n"); status != 200 || body != name {
			t.Errorf("%d %s", status, body)
		}
	}
}

func TestAProgramThatEndsItsSideGetsNoAnswerThatNobodyGave(t *testing.T) {
	opened := make(chan *net.UnixConn, 1)
	s := newSandbox(t, func(_ string, far *net.UnixConn) error { opened <- far; return nil })
	c := s.dial()
	c.send("GET http://api.example.com/ HTTP/1.1\r\nHost: x\r\n\r\n")
	defer (<-opened).Close()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(c.reader); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

func TestATunnelCarriesBytesBothWaysAndEndsEachByItself(t *testing.T) {
	sent := make([]byte, 3<<20)
	_, _ = rand.Read(sent)
	s := newSandbox(t, func(_ string, far *net.UnixConn) error {
		go func() {
			all, _ := io.ReadAll(far)
			_, _ = far.Write(all)
			far.Close()
		}()
		return nil
	})
	c := s.dial()
	// Begun before the answer, as some do.
	go func() {
		_, _ = c.Write(append([]byte("CONNECT api.example.com:443 HTTP/1.1\r\nHost: other\r\n\r\n"), sent...))
		_ = c.CloseWrite()
	}()
	response, err := http.ReadResponse(c.reader, &http.Request{Method: http.MethodConnect})
	if err != nil || response.StatusCode != 200 {
		t.Fatal(response, err)
	}
	if got, err := io.ReadAll(c.reader); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d, %v", len(got), len(sent), err)
	}
	if got := s.targets(); got != "api.example.com:443" {
		t.Error(got)
	}
}

func TestAResetOfAFlowResetsTheTunnel(t *testing.T) {
	ends := make(chan *net.UnixConn, 1)
	s := newSandbox(t, func(_ string, far *net.UnixConn) error { ends <- far; return nil })
	c := s.dial()
	if response := c.begin("CONNECT api.example.com:443 HTTP/1.1\r\n\r\n"); response.StatusCode != 200 {
		t.Fatal(response.Status)
	}
	(<-ends).Close()
	if _, err := c.reader.ReadByte(); !errors.Is(err, unix.ECONNRESET) {
		t.Error(err)
	}
	c = s.dial()
	c.begin("CONNECT api.example.com:443 HTTP/1.1\r\n\r\n")
	far := <-ends
	_ = c.SetLinger(0)
	_ = c.TCPConn.Close()
	if n, err := io.Copy(io.Discard, far); n != 0 || err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Error(n, err)
	}
}

func TestAnUpgradeBecomesATunnel(t *testing.T) {
	s := newSandbox(t, func(_ string, far *net.UnixConn) error {
		go func() {
			defer far.Close()
			header := make([]byte, 4096)
			n, _ := far.Read(header)
			if !bytes.Contains(header[:n], []byte("Upgrade: websocket\r\n")) {
				return
			}
			_, _ = io.WriteString(far, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(far, far)
		}()
		return nil
	})
	c := s.dial()
	response := c.begin("GET http://ws.example/ HTTP/1.1\r\nHost: ws.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if response.StatusCode != 101 {
		t.Fatal(response.Status)
	}
	c.send("ping")
	answer := make([]byte, 4)
	if _, err := io.ReadFull(c.reader, answer); err != nil || string(answer) != "ping" {
		t.Errorf("%q %v", answer, err)
	}
}

func TestErrorsAreTheGatewaysOwn(t *testing.T) {
	var answer error
	s := newSandbox(t, func(string, *net.UnixConn) error { return answer })
	for _, one := range []struct {
		err    error
		status int
		kind   string
	}{
		{&outbound.Refusal{Code: "denied", Message: "no\nWay"}, 403, "http_request_denied"},
		{&outbound.Refusal{Code: "timeout"}, 504, "connection_timeout"},
		{&outbound.Refusal{Code: "refused"}, 502, "connection_refused"},
		{&outbound.Refusal{Code: "unknown_host"}, 502, "dns_error"},
		{&outbound.Refusal{Code: "unreachable"}, 502, "destination_ip_unroutable"},
		{&outbound.Refusal{Code: "limit"}, 503, "connection_limit_reached"},
		{fmt.Errorf("%w: x", outbound.ErrGateway), 502, "proxy_internal_error"},
	} {
		answer = one.err
		for _, request := range []string{"CONNECT a.example:443 HTTP/1.1\r\n\r\n", "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"} {
			response := s.dial().begin(request)
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != one.status || response.Header.Get("Proxy-Status") != "stacyvm; error="+one.kind || bytes.Count(body, []byte("\n")) != 1 {
				t.Errorf("%v: %s %v %q", one.err, response.Status, response.Header, body)
			}
		}
	}
}

func TestWhatIsNoRequestToAProxyIsRefusedInWords(t *testing.T) {
	s := newSandbox(t, web(nil))
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n":              "this is the sandbox's HTTP proxy",
		"OPTIONS * HTTP/1.1\r\nHost: api.example.com\r\n\r\n":          "this is the sandbox's HTTP proxy",
		"GET https://a.example/ HTTP/1.1\r\nHost: a\r\n\r\n":           "CONNECT for https URLs",
		"GET ftp://a.example/ HTTP/1.1\r\nHost: a\r\n\r\n":             "CONNECT for ftp URLs",
		"CONNECT a.example HTTP/1.1\r\n\r\n":                           "no host and port",
		"CONNECT a.example:0 HTTP/1.1\r\n\r\n":                         "no host and port",
		"CONNECT a.example:443/x HTTP/1.1\r\n\r\n":                     "a host and a port",
		"CONNECT x@a.example:443 HTTP/1.1\r\n\r\n":                     "a host and a port",
		"CONNECT /_goRPC_ HTTP/1.1\r\n\r\n":                            "a host and a port",
		"CONNECT a.example:443 HTTP/1.1\r\nContent-Length: 1\r\n\r\nx": "no body",
		"GET http://2130706433/ HTTP/1.1\r\nHost: a\r\n\r\n":           "no host and port",
		"GET http://0x7f.1/ HTTP/1.1\r\nHost: a\r\n\r\n":               "no host and port",
		"GET http://a_b.ex%41mple/ HTTP/1.1\r\nHost: a\r\n\r\n":        "",
		"GET http://[fe80::1%25eth0]/ HTTP/1.1\r\nHost: a\r\n\r\n":     "no host and port",
		"GET http://[a.example]/ HTTP/1.1\r\nHost: a\r\n\r\n":          "",
	} {
		status, body := s.dial().ask(request)
		if status != 400 || !strings.Contains(body, want) {
			t.Errorf("%q: %d %s", request, status, body)
		}
	}
	if got := s.targets(); got != "" {
		t.Error(got)
	}
}

func TestBoundsHold(t *testing.T) {
	s := newSandbox(t, web(nil))
	status, _ := s.dial().ask("GET http://a.example/ HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", headerBytesMax+8192) + "\r\n\r\n")
	if status != http.StatusRequestHeaderFieldsTooLarge {
		t.Error(status)
	}
	// One of the places may still be that of the connection above.
	for range connectionsMax + 1 {
		s.dial()
	}
	_, err := s.dial().reader.ReadByte()
	if !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("one too many: %v", err)
	}
}

func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"a.example:443", "[2001:db8::1]:80", "1.2.3.4", "a:b:c", "[", "]:1", "a.", "[::ffff:1.2.3.4]", "0x7f.1:1"} {
		f.Add(seed, 80)
		f.Add(seed, 0)
	}
	f.Fuzz(func(t *testing.T, text string, usual int) {
		if usual != 0 {
			usual = 80
		}
		to, err := parseTarget(text, usual)
		if err != nil {
			return
		}
		if to.port < 1 || to.port > 65535 || (to.host == "") == (to.address == "") {
			t.Fatalf("%q: %+v", text, to)
		}
		again, err := parseTarget(to.authority(usual), usual)
		if err != nil || again != to {
			t.Fatalf("%q: %+v, then %+v, %v", text, to, again, err)
		}
	})
}
