package peek

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"stacyvm/native/internal/egresswire"
)

// recorder is a connection that keeps what is written and has nothing to read.
type recorder struct {
	net.Conn
	written bytes.Buffer
	rest    []byte
}

func (r *recorder) Write(b []byte) (int, error) { return r.written.Write(b) }

func (r *recorder) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *recorder) Close() error                     { return nil }
func (r *recorder) SetDeadline(time.Time) error      { return nil }
func (r *recorder) SetReadDeadline(time.Time) error  { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

// helloOf is what Go's client says first.
func helloOf(t testing.TB, name string) []byte {
	t.Helper()
	conn := &recorder{}
	_ = tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
	if conn.written.Len() == 0 {
		t.Fatal("no hello")
	}
	return conn.written.Bytes()
}

// inRecords spreads a hello's handshake message over records of some size.
func inRecords(hello []byte, size int) []byte {
	var spread []byte
	for message := hello[recordHeader:]; len(message) > 0; {
		n := min(size, len(message))
		spread = append(spread, recordHandshake, 3, 1, byte(n>>8), byte(n))
		spread, message = append(spread, message[:n]...), message[n:]
	}
	return spread
}

// feed gives Look more and more, as Need and Line ask for it, and never anything that it didn't ask for.
func feed(t testing.TB, first []byte, piece int) Sight {
	t.Helper()
	sight, looked := Sight{}, 0
	for have := 0; ; {
		have = min(have+piece, len(first))
		if have < len(first) && (have < sight.Need || sight.Line && !bytes.Contains(first[looked:have], []byte("\n"))) {
			continue
		}
		sight, looked = Look(first[:have]), have
		if sight.Kind != More || have == len(first) {
			return sight
		}
		if sight.Need <= have {
			t.Fatalf("with %d bytes %d are wanted", have, sight.Need)
		}
	}
}

func TestANameIsFoundHoweverAHelloIsCut(t *testing.T) {
	hello := helloOf(t, "api.example.com")
	want := Sight{Kind: TLS, Names: []string{"api.example.com"}}
	for piece := 1; piece <= len(hello); piece++ {
		if got := feed(t, hello, piece); !reflect.DeepEqual(got, want) {
			t.Fatalf("in pieces of %d: %+v", piece, got)
		}
	}
	for length := range hello {
		if got := Look(hello[:length]); got.Kind != More {
			t.Fatalf("%d bytes: %+v", length, got)
		}
	}
	for size := 1; size <= len(hello); size++ {
		spread := inRecords(hello, size)
		if got := feed(t, spread, 1); !reflect.DeepEqual(got, want) {
			t.Fatalf("in records of %d: %+v", size, got)
		}
		if got := Look(append(spread, "more"...)); !reflect.DeepEqual(got, want) {
			t.Fatalf("in records of %d, all at once: %+v", size, got)
		}
	}
	long := make([]byte, maxPieces)
	if got := Look(inRecords(append([]byte{recordHandshake, 3, 1, 0, 0, helloType, 0, 0xff, 0xff}, long...), 1)); !got.Malformed {
		t.Errorf("in more records than are taken: %+v", got)
	}
}

func TestAHelloWithoutANameSaysNone(t *testing.T) {
	if got := Look(helloOf(t, "")); got.Kind != TLS || len(got.Names) > 0 || !got.Is("api.example.com") {
		t.Errorf("%+v", got)
	}
}

// hello builds a ClientHello with extensions.
func hello(extensions ...[]byte) []byte {
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 1, 1, 0)
	all := bytes.Join(extensions, nil)
	body = append(append(body, byte(len(all)>>8), byte(len(all))), all...)
	message := append([]byte{helloType, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return append([]byte{recordHandshake, 3, 1, byte(len(message) >> 8), byte(len(message))}, message...)
}

func extension(kind byte, body []byte) []byte {
	return append([]byte{0, kind, byte(len(body) >> 8), byte(len(body))}, body...)
}

func names(entries ...string) []byte {
	var list []byte
	for _, name := range entries {
		list = append(append(list, 0, byte(len(name)>>8), byte(len(name))), name...)
	}
	return extension(0, append([]byte{byte(len(list) >> 8), byte(len(list))}, list...))
}

func TestWhatAHelloSays(t *testing.T) {
	for name, c := range map[string]struct {
		first []byte
		is    bool
	}{
		"the name":                  {hello(extension(10, nil), names("api.example.com")), true},
		"in capitals, with a dot":   {hello(names("API.Example.com.")), true},
		"nothing":                   {hello(), true},
		"another":                   {hello(names("evil.test")), false},
		"both in one list":          {hello(names("api.example.com", "evil.test")), false},
		"both in two extensions":    {hello(names("api.example.com"), names("evil.test")), false},
		"the same twice":            {hello(names("api.example.com"), names("api.example.com")), false},
		"with a NUL":                {hello(names("api.example.com\x00evil.test")), false},
		"an empty one":              {hello(names("")), false},
		"an empty list":             {hello(names()), false},
		"an empty extension":        {hello(extension(0, nil)), false},
		"another type of name":      {hello(extension(0, append([]byte{0, 18, 1, 0, 15}, "api.example.com"...))), false},
		"bytes behind the list":     {hello(extension(0, append(names("api.example.com")[4:], 0))), false},
		"a list longer than itself": {hello(extension(0, []byte{0, 18, 0, 0, 15, 'a'})), false},
	} {
		if got := Look(c.first); got.Kind != TLS || got.Is("api.example.com") != c.is {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestWhatIsNoHelloOfAClientButLooksLikeTLSIsMalformed(t *testing.T) {
	good := hello(names("api.example.com"))
	for name, first := range map[string][]byte{
		"an alert before":           append([]byte{21, 3, 1, 0, 2, 1, 90}, good...),
		"an empty record before":    append([]byte{22, 3, 1, 0, 0}, good...),
		"another message":           {22, 3, 3, 0, 4, 2, 0, 0, 0},
		"a record of another type":  append(bytes.Clone(inRecords(good, 20)[:25]), 23, 3, 3, 0, 1, 0),
		"a record longer than one":  {22, 3, 1, 0x40, 1},
		"a hello longer than held":  {22, 3, 1, 0, 4, 1, 2, 0, 0},
		"bytes behind extensions":   func() []byte { b := bytes.Clone(good); b[4]++; b[8]++; return append(b, 0) }(),
		"extensions that are short": func() []byte { b := bytes.Clone(good); b[51]++; return b }(),
	} {
		if got := Look(first); !got.Malformed || got.Is("api.example.com") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// FuzzHello: what Go's own server understands of a hello is what is seen of it, whatever the bytes.
func FuzzHello(f *testing.F) {
	f.Add(helloOf(f, "api.example.com"))
	f.Add(helloOf(f, ""))
	f.Add(inRecords(helloOf(f, "api.example.com"), 10))
	f.Add(hello(names("api.example.com"), names("evil.test")))
	f.Fuzz(func(t *testing.T, first []byte) {
		if len(first) == 0 || !IsRecord(first[0]) {
			return
		}
		sight := Look(first)
		if again := feed(t, first, 1); !reflect.DeepEqual(again, sight) {
			t.Fatalf("at once %+v, byte by byte %+v", sight, again)
		}
		heard, ok := serverHears(first)
		if !ok || len(heard) > 253 {
			return
		}
		name, isName := egresswire.Name(heard)
		switch {
		case heard != "" && isName && sight.Is("no."+name):
			t.Fatalf("Go hears %q, seen is %+v", heard, sight)
		case heard != "" && !isName && !sight.Malformed:
			t.Fatalf("Go hears %q, seen is %+v", heard, sight)
		}
	})
}

var errHeard = errors.New("heard")

func serverHears(first []byte) (string, bool) {
	name, heard := "", false
	server := tls.Server(&recorder{rest: first}, &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		name, heard = info.ServerName, true
		return nil, errHeard
	}})
	_ = server.HandshakeContext(context.Background())
	return name, heard
}

func TestWhatARequestSays(t *testing.T) {
	const end = "\r\n\r\n"
	for first, is := range map[string]bool{
		"GET / HTTP/1.1\r\nHost: api.example.com" + end:                                 true,
		"GET / HTTP/1.1\nhost:API.example.com.:443\n\n":                                 true,
		"GET / HTTP/1.0" + end:                                                          true,
		"GET http://api.example.com/x HTTP/1.1\r\nHost: api.example.com" + end:          true,
		"GET /http://evil.test/ HTTP/1.1\r\nHost: api.example.com" + end:                true,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                              true,
		"GET / HTTP/1.1\r\nX-Host: evil.test\r\nHost: api.example.com" + end:            true,
		"BREW / HTTP/1.1\r\nHost: api.example.com" + end:                                true,
		"GET / HTTP/1.1\r\nHost: evil.test" + end:                                       false,
		"BREW / HTTP/1.1\r\nHost: evil.test" + end:                                      false,
		"GET http://evil.test/ HTTP/1.1\r\nHost: api.example.com" + end:                 false,
		"GET http://api.example.com/ HTTP/1.1\r\nHost: evil.test" + end:                 false,
		"GET http://api.example.com@evil.test/ HTTP/1.1\r\nHost: api.example.com" + end: false,
		"GET http://evil.test\\@api.example.com/ HTTP/1.1\r\n" + end:                    false,
		"CONNECT evil.test:443 HTTP/1.1\r\nHost: api.example.com" + end:                 false,
		"GET / HTTP/1.1\r\nHost: api.example.com\r\nHost: evil.test" + end:              false,
		"GET / HTTP/1.1\r\nHost: api.example.com\r\nhOST: api.example.com" + end:        false,
		"GET / HTTP/1.1\r\nHost : evil.test" + end:                                      false,
		"GET / HTTP/1.1\r\nHost:\r\n evil.test" + end:                                   false,
		"GET / HTTP/1.1\r\n Host: evil.test" + end:                                      false,
		"GET / HTTP/1.1\r\nA: b\rHost: evil.test" + end:                                 false,
		"GET / HTTP/1.1\r\nHost: api.example.com\x00evil.test" + end:                    false,
		"GET / HTTP/1.1\r\nHost: api.example.com, evil.test" + end:                      false,
		"GET / HTTP/1.1\r\nHost: api.example.com:evil" + end:                            false,
		"GET / HTTP/1.1\r\nHost:" + end:                                                 false,
		"GET / HTTP/1.1\r\nHost" + end:                                                  false,
		"GET  / HTTP/1.1\r\nHost: api.example.com" + end:                                false,
		"get / http/1.1\r\nHost: api.example.com" + end:                                 false,
	} {
		if got := Look([]byte(first)); got.Kind != HTTP || got.Is("api.example.com") != is {
			t.Errorf("%q: %+v", first, got)
		}
		for piece := 1; piece < len(first) && !strings.HasPrefix(first, "BREW") && !strings.HasPrefix(first, "get"); piece++ {
			if got := feed(t, []byte(first), piece); got.Kind != HTTP || got.Is("api.example.com") != is {
				t.Fatalf("%q in pieces of %d: %+v", first, piece, got)
			}
		}
	}
}

func TestProtocolsThatSayNoNameAreNotHeldBack(t *testing.T) {
	for _, first := range []string{
		"\x00\x00\x00\x08\x04\xd2\x16\x2f", "SSH-2.0-OpenSSH_9.9\r\n", "EHLO me\r\n", "GET key\r\n", "*1\r\n$4\r\nPING\r\n", "JRMI\x00\x02K", "hello", "\x80\x2e\x01\x03\x01",
		"OPTIONS rtsp://example.com RTSP/1.0\r\n", "SET a b", "\x16\x04", "\xff", "POSTS", "A ", " ",
	} {
		if got := Look([]byte(first)); got.Kind != Other {
			t.Errorf("%q: %+v", first, got)
		}
	}
	if got := Look([]byte("\r\n\nGET /")); got.Kind != Pass || got.Need != 3 {
		t.Errorf("empty lines: %+v", got)
	}
}

func TestNothingIsHeldForEver(t *testing.T) {
	long := strings.Repeat("a", headBytes)
	for _, first := range []string{"GET /" + long, "GET / HTTP/1.1\r\nX: " + long, "GET / HTTP/1.1\r\n" + strings.Repeat("a:b\r\n", headBytes/5)} {
		if got := feed(t, []byte(first), 1000); !got.Malformed {
			t.Errorf("%.20q: %+v", first, got)
		}
	}
}

// FuzzHead: nothing that Go's own server would take for another host is seen as this one.
func FuzzHead(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"))
	f.Add([]byte("GET http://evil.test/ HTTP/1.1\nHost:api.example.com\n\n"))
	f.Add([]byte("CONNECT evil.test:80 HTTP/1.1\r\nA: b\r\n c\r\n\r\n"))
	f.Fuzz(func(t *testing.T, first []byte) {
		sight := Look(first)
		if sight.Kind == More || sight.Kind == Pass {
			return
		}
		host, ok := goReads(first)
		if !ok || host == "" {
			return
		}
		if other := "no." + host; sight.Kind != HTTP || sight.Is(other) || len(sight.Names) > 0 && sight.Is(sight.Names[0]) && !sight.Is(host) {
			t.Fatalf("Go reads %q, seen is %+v", host, sight)
		}
	})
}

// goReads is the host that Go's server takes a request to be for.
func goReads(first []byte) (string, bool) {
	request, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(first)))
	if err != nil {
		return "", false
	}
	host, _, _ := strings.Cut(request.Host, ":")
	name, ok := egresswire.Name(host)
	return name, ok
}
