package egress

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/net/dns/dnsmessage"
)

func TestTrailersGoBothWaysAsGRPCNeedsThem(t *testing.T) {
	i := startInternet(t, func(far *farEnd) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/grpc")
			w.Header().Set("Trailer", "Grpc-Status")
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
			// As a bidirectional stream answers: before the request has ended.
			message := make([]byte, 5)
			for range 3 {
				if _, err := io.ReadFull(r.Body, message); err != nil {
					t.Error(err)
					return
				}
				_, _ = w.Write(message)
				_ = http.NewResponseController(w).Flush()
			}
			far.keep(r, true)
			w.Header().Set("Grpc-Status", "0")
			w.Header().Set(http.TrailerPrefix+"Grpc-Message", r.Header.Get("Authorization"))
		}
	})
	client := i.inside("sb-1", publicPolicy, withHeader(secretValue)).client("h2")
	input, output := io.Pipe()
	r, err := http.NewRequest("POST", "https://"+apiHost+"/service/Method", input)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Te", "trailers")
	r.Header.Set("Grpc-Accept-Encoding", "gzip")
	r.Trailer = http.Header{"X-Late": nil}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for _, message := range []string{"first", "2econ", "third"} {
		go func() { _, _ = io.WriteString(output, message) }()
		answer := make([]byte, 5)
		if _, err := io.ReadFull(response.Body, answer); err != nil || string(answer) != message {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	r.Trailer.Set("X-Late", "it is")
	_ = output.Close()
	rest, err := io.ReadAll(response.Body)
	if len(rest) > 0 || err != nil || response.Trailer.Get("Grpc-Status") != "0" || response.Trailer.Get("Grpc-Message") != "Bearer "+strings.Repeat("*", len(secretValue)) {
		t.Errorf("%q, %v, %v", rest, err, response.Trailer)
	}
	if seen := i.far.last(t); seen.Header.Get("Te") != "trailers" || seen.Header.Get("Grpc-Accept-Encoding") != "identity" || seen.Trailer.Get("X-Late") != "it is" {
		t.Errorf("%v, %v", seen.Header, seen.Trailer)
	}
}

func TestAnEventGoesOnAsItComes(t *testing.T) {
	next := make(chan string)
	i := startInternet(t, func(*farEnd) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			// Of a known length, which nobody takes for a stream.
			w.Header().Set("Content-Length", strconv.Itoa(len("data: one ..data: two ..data: three ..")+3*len(r.Header.Get("Authorization"))))
			for range 3 {
				_, _ = fmt.Fprintf(w, "data: %s %s\n\n", <-next, r.Header.Get("Authorization"))
				_ = http.NewResponseController(w).Flush()
			}
		}
	})
	for name, protocols := range bothProtocols {
		client := i.inside("sb-"+name, publicPolicy, withHeader(secretValue)).client(protocols...)
		r, _ := http.NewRequest("GET", "https://"+apiHost+"/", nil)
		var lines *bufio.Reader
		for _, event := range []string{"one", "two", "three"} {
			go func() { next <- event }()
			if lines == nil {
				response, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				lines = bufio.NewReader(response.Body)
			}
			want := "data: " + event + " Bearer " + strings.Repeat("*", len(secretValue)) + "\n"
			if line, err := lines.ReadString('\n'); err != nil || line != want {
				t.Fatalf("%q, %v", line, err)
			}
			_, _ = lines.ReadString('\n')
		}
	}
}

func TestAnAnswerMayBeginBeforeItsRequestHasEnded(t *testing.T) {
	i := startInternet(t, func(*farEnd) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = r.Body.Read(make([]byte, 1))
			_, _ = io.WriteString(w, "early ")
			_ = http.NewResponseController(w).Flush()
			n, err := io.Copy(io.Discard, r.Body)
			_, _ = fmt.Fprint(w, n, err)
		}
	})
	for name, protocols := range bothProtocols {
		client := i.inside("sb-"+name, publicPolicy, withHeader(secretValue)).client(protocols...)
		input, output := io.Pipe()
		go func() { _, _ = io.WriteString(output, "a") }()
		response, err := client.Post("https://"+apiHost+"/", "text/plain", input)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		early := make([]byte, 6)
		if _, err := io.ReadFull(response.Body, early); err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(output, strings.Repeat("b", 1_000_000))
		_ = output.Close()
		if rest, err := io.ReadAll(response.Body); string(rest) != "1000000 <nil>" || err != nil {
			t.Errorf("%s: %q, %v", name, rest, err)
		}
	}
}

func TestAWebSocketIsCarriedAndItsAnswersAreMasked(t *testing.T) {
	i := startInternet(t, func(far *farEnd) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			far.keep(r, false)
			if r.Header.Get("Upgrade") != "websocket" {
				return
			}
			conn, both, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = fmt.Fprintf(both, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Echo: %s\r\n\r\n", r.Header.Get("Authorization"))
			for {
				_ = both.Flush()
				line, err := both.ReadString('\n')
				if err != nil {
					return
				}
				_, _ = both.WriteString(strings.ReplaceAll(line, "SECRET", r.Header.Get("Authorization")))
			}
		}
	})
	secrets := withHeader(secretValue)
	secrets.Secrets = []map[string]any{entry("OTHER", "other-value", map[string]any{"placeholder": placeholder, "host": "other.test"})}
	conn := i.inside("sb-1", publicPolicy, secrets).mustTLS("h2", "http/1.1")
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		t.Error("a far end that speaks HTTP/2 isn't spoken to in it")
	}
	conn = i.inside("sb-1", publicPolicy, secrets).mustTLS("http/1.1")
	upgrade := func(protocol string) (*bufio.Reader, *http.Response) {
		_, _ = fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", apiHost, protocol)
		reader := bufio.NewReader(conn)
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		return reader, response
	}
	// Another protocol couldn't be looked into, and isn't asked for.
	if _, response := upgrade("h2c"); response.StatusCode != 200 || i.far.last(t).Header.Get("Upgrade") != "" {
		t.Errorf("%v, %v", response, i.far.last(t).Header)
	}
	reader, response := upgrade("websocket")
	mask := "Bearer " + strings.Repeat("*", len(secretValue))
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("X-Echo") != mask || i.far.last(t).Header.Get("Sec-Websocket-Extensions") != "" {
		t.Fatalf("%v, %v", response, i.far.last(t).Header)
	}
	for sent, want := range map[string]string{"hello\n": "hello\n", "a SECRET\n": "a " + mask + "\n"} {
		_, _ = io.WriteString(conn, sent)
		if line, err := reader.ReadString('\n'); err != nil || line != want {
			t.Fatalf("%q, %v", line, err)
		}
	}
	i.decisionOf("request")
	i.decisionOf("request")
	_, _ = io.WriteString(conn, placeholder+"\n")
	if line, err := reader.ReadString('\n'); err == nil {
		t.Errorf("%q", line)
	}
	if event := i.decisionOf("request"); event["reason"] != "placeholder" {
		t.Errorf("%v", event)
	}
	if event := i.decisionOf("response"); event["decision"] != "masked" {
		t.Errorf("%v", event)
	}
}

func TestABodyWaitsForTheFarEndToWantIt(t *testing.T) {
	i := startInternet(t, func(far *farEnd) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/refused" {
				w.WriteHeader(http.StatusUnauthorized)
				far.keep(r, false)
				return
			}
			if r.Method == "GET" {
				w.Header().Set("Link", r.Header.Get("Authorization"))
				w.WriteHeader(http.StatusEarlyHints)
				w.Header().Del("Link")
			}
			_, _ = io.WriteString(w, far.keep(r, true))
		}
	})
	for name, protocols := range bothProtocols {
		in := i.inside("sb-"+name, publicPolicy, withHeader(secretValue))
		header := map[string]string{"Expect": "100-continue"}
		if response, body := send(t, in.client(protocols...), request{method: "POST", body: "hello", header: header}); response.StatusCode != 200 || body != "hello" {
			t.Errorf("%s: %d %q", name, response.StatusCode, body)
		}
		if response, _ := send(t, in.client(protocols...), request{method: "POST", url: "https://" + apiHost + "/refused", body: "hello", header: header}); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, response.StatusCode)
		}
	}
	conn := i.inside("sb-1", publicPolicy, withHeader(secretValue)).mustTLS()
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", apiHost)
	all, _ := io.ReadAll(conn)
	if text := string(all); !strings.HasPrefix(text, "HTTP/1.1 103 Early Hints\r\nLink: Bearer "+strings.Repeat("*", len(secretValue))+"\r\n\r\nHTTP/1.1 200 OK\r\n") {
		t.Errorf("%q", text)
	}
}

func TestAConnectionThatTheFarEndEndedIsMadeAnewByTheSameDecision(t *testing.T) {
	issuer := newIssuer(t)
	i := startInternetWith(t, issuer, nil, nil)
	far := serveHTTP(t, "203.0.113.7:443", &tls.Config{Certificates: []tls.Certificate{issuer.issue(t, apiHost, time.Now().Add(time.Hour))}}, answering(func(w http.ResponseWriter, r *http.Request, body string) {
		if r.URL.Path == "/close" {
			w.Header().Set("Connection", "close")
		}
		echoing(w, r, body)
	}))
	in := i.inside("sb-1", publicPolicy, withHeader(secretValue))
	for name, protocols := range bothProtocols {
		client := in.client(protocols...)
		before := far.conns.count()
		for _, path := range []string{"/", "/close", "/", "/", "/close", "/close"} {
			if response, body := send(t, client, request{method: "POST", body: "hello", url: "https://" + apiHost + path}); response.StatusCode != 200 || !strings.HasSuffix(body, "|hello") {
				t.Errorf("%s: %d %q", name, response.StatusCode, body)
			}
		}
		// A connection that isn't given back before the next request comes is beside them.
		if got := far.conns.count() - before; got < 3 || got > 5 {
			t.Errorf("%s: %d connections were made", name, got)
		}
	}
}

func TestAConnectionThatIsMadeAnewIsNotMadeToAnAddressThatIsDenied(t *testing.T) {
	issuer := newIssuer(t)
	i := &internet{startGateway(t), issuer, nil}
	var address atomic.Value
	address.Store("203.0.113.7")
	serveNames(t, zone{apiHost: func(question dnsmessage.Question, builder *dnsmessage.Builder) error {
		return addressesOf(0, address.Load().(string))(question, builder)
	}})
	i.trust(issuer.text)
	config := &tls.Config{Certificates: []tls.Certificate{issuer.issue(t, apiHost, time.Now().Add(time.Hour))}}
	closing := answering(func(w http.ResponseWriter, _ *http.Request, _ string) { w.Header().Set("Connection", "close") })
	serveHTTP(t, "203.0.113.7:443", config, closing)
	private := serveHTTP(t, "10.1.2.3:443", config, closing)
	client := i.inside("sb-1", publicPolicy, withHeader(secretValue)).client("http/1.1")
	if response, _ := send(t, client, request{method: "GET"}); response.StatusCode != 200 {
		t.Fatal(response.Status)
	}
	i.decisionOf("request")
	address.Store("10.1.2.3")
	if response, body := send(t, client, request{method: "GET"}); response.StatusCode != http.StatusForbidden {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if event := i.decisionOf("request"); event["decision"] != "denied" || event["reason"] != "always_denied" || private.conns.count() > 0 {
		t.Errorf("%v", event)
	}
}

func compressed(t testing.TB, coding, text string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	var to io.WriteCloser
	var err error
	switch coding {
	case "gzip", "x-gzip":
		to = gzip.NewWriter(&buffer)
	case "deflate":
		to = zlib.NewWriter(&buffer)
	case "DEFLATE":
		to, err = flate.NewWriter(&buffer, 6)
	case "zstd":
		to, err = zstd.NewWriter(&buffer)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(to, text)
	_ = to.Close()
	return buffer.Bytes()
}

func TestACompressedAnswerIsReadAndOneThatCannotBeIsRefused(t *testing.T) {
	i := startInternet(t, answering(func(w http.ResponseWriter, r *http.Request, _ string) {
		coding := r.URL.Query().Get("coding")
		w.Header().Set("Content-Encoding", coding)
		text := strings.Repeat("text ", 10_000) + r.Header.Get("Authorization")
		switch {
		case strings.HasSuffix(coding, "br"):
			_, _ = io.WriteString(w, text)
		case r.Method == "GET":
			_, _ = w.Write(compressed(t, coding, text))
		}
	}))
	client := i.inside("sb-1", publicPolicy, withHeader(secretValue)).client("http/1.1")
	want := strings.Repeat("text ", 10_000) + "Bearer " + strings.Repeat("*", len(secretValue))
	for _, coding := range []string{"gzip", "x-gzip", "deflate", "DEFLATE", "zstd"} {
		response, body := send(t, client, request{method: "GET", url: "https://" + apiHost + "/?coding=" + coding, header: map[string]string{"Accept-Encoding": "gzip, br"}})
		if body != want || response.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %v, %d bytes", coding, response.Header, len(body))
		}
		if got := i.far.last(t).Header.Values("Accept-Encoding"); len(got) != 1 || got[0] != "identity" {
			t.Errorf("asked for %v", got)
		}
	}
	if response, _ := send(t, client, request{method: "HEAD", url: "https://" + apiHost + "/?coding=gzip"}); response.StatusCode != 200 || response.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%v", response)
	}
	for range 6 {
		i.decisionOf("request")
	}
	for _, coding := range []string{"br", "gzip,%20br"} {
		response, body := send(t, client, request{method: "GET", url: "https://" + apiHost + "/?coding=" + coding})
		if response.StatusCode != http.StatusBadGateway || strings.Contains(body, "hunter2") {
			t.Errorf("%s: %d %q", coding, response.StatusCode, body)
		}
	}
	i.decisionOf("request")
	if event := i.decisionOf("request"); event["decision"] != "failed" || event["reason"] != "coding" {
		t.Errorf("%v", event)
	}
}

func TestASecretDoesNotFollowARedirect(t *testing.T) {
	issuer := newIssuer(t)
	config := &tls.Config{Certificates: []tls.Certificate{issuer.issue(t, apiHost, time.Now().Add(time.Hour)), issuer.issue(t, "other.test", time.Now().Add(time.Hour))}}
	i := startInternetWith(t, issuer, config, answering(func(w http.ResponseWriter, r *http.Request, _ string) {
		w.Header().Set("Location", "https://other.test/?key="+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusFound)
	}))
	secrets := withHeader(secretValue)
	secrets.Secrets = withSecret(secretValue).Secrets
	in := i.inside("sb-1", `{"name":"sandbox","mode":"public","allow":[{"text":"all","host":"other.test","inspect":true}],"deny":[]}`, secrets)
	response, _ := send(t, in.client("http/1.1"), request{method: "GET"})
	if got := response.Header.Get("Location"); got != "https://other.test/?key=Bearer "+strings.Repeat("*", len(secretValue)) {
		t.Errorf("%s", got)
	}
	conn, err := in.dial("other.test", 443)
	if err != nil {
		t.Fatal(err)
	}
	client := tls.Client(conn, &tls.Config{RootCAs: in.pool, ServerName: "other.test"})
	_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n")
	if response, err := http.ReadResponse(bufio.NewReader(client), nil); err != nil || response.StatusCode != http.StatusFound {
		t.Fatalf("%v, %v", response, err)
	}
	if seen := i.far.last(t); seen.Host != "other.test" || strings.Contains(fmt.Sprint(seen.Header), "hunter2") {
		t.Errorf("%s %v", seen.Host, seen.Header)
	}
}

// eventsOf are the events until a connection ended, as lines.
func (s *server) eventsOf() string {
	s.t.Helper()
	var all strings.Builder
	for {
		select {
		case event := <-s.events:
			line, _ := json.Marshal(event)
			all.Write(append(line, '\n'))
			if event["event"] == "closed" {
				return all.String()
			}
		case <-time.After(patience):
			s.t.Fatal("the connection didn't end")
		}
	}
}

func TestNoValueNoQueryAndNoHeaderIsInAnEvent(t *testing.T) {
	i := startInternet(t, answering(func(w http.ResponseWriter, r *http.Request, body string) {
		w.Header().Set("Content-Encoding", r.URL.Query().Get("coding"))
		echoing(w, r, body)
	}))
	in := i.inside("sb-1", publicPolicy, withHeader(secretValue))
	client := in.client("http/1.1")
	for _, path := range []string{"/x?private=1", "/x?coding=br", "/x/" + "hunter2%22?private"} {
		for _, host := range []string{apiHost, "other.test"} {
			send(t, client, request{method: "POST", url: "https://" + apiHost + path, body: "private", header: map[string]string{"X-Key": "private", "Host": host}})
		}
	}
	client.CloseIdleConnections()
	if events := i.eventsOf(); strings.Contains(events, "private") || strings.Contains(events, secretValue) || strings.Contains(events, "coding=") || !strings.Contains(events, `"masked"`) {
		t.Errorf("%s", events)
	}
}
