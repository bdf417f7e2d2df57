package egress

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const narrowAPI = `{"name":"sandbox","mode":"allowlist","allow":[{"text":"reading","host":"api.example.com","inspect":true,"methods":["GET","POST"],"paths":["/v1/*"]}],` +
	`"deny":[{"text":"no admin","host":"api.example.com","inspect":true,"paths":["/v1/admin*"]}]}`

func none() spec { return spec{Seed: seeds["one"]} }

func TestEachRequestIsDecidedByItsMethodAndPath(t *testing.T) {
	i := startInternet(t, answering(echoing))
	for name, protocols := range bothProtocols {
		client := i.inside("sb-"+name, narrowAPI, none()).client(protocols...)
		for _, c := range []struct{ method, url, reason, rule string }{
			{"GET", "/v1/users?admin=/v1/admin", "rule", "reading"},
			{"POST", "/v1/users", "rule", "reading"},
			{"DELETE", "/v1/users", "not_allowed", ""},
			{"get", "/v1/users", "not_allowed", ""},
			{"GET", "/v2/users", "not_allowed", ""},
			{"GET", "/v1/admin/keys", "deny_rule", "no admin"},
			{"GET", "/v1/%61dmin/keys", "deny_rule", "no admin"},
			{"GET", "/v1/x/../admin/keys", "path", ""},
			{"GET", "/v1/%2e%2e/v2", "path", ""},
			{"GET", "/v1//admin", "path", ""},
			{"TRACE", "/v1/users", "method", ""},
		} {
			before := len(i.far.all())
			response, body := send(t, client, request{method: c.method, url: "https://" + apiHost + c.url})
			event := i.decisionOf("request")
			rule, _ := event["rule"].(string)
			if event["reason"] != c.reason || rule != c.rule || strings.Contains(fmt.Sprint(event["path"]), "?") {
				t.Errorf("%s, %s %s: %v", name, c.method, c.url, event)
			}
			allowed := c.reason == "rule"
			if arrived := len(i.far.all()) > before; arrived != allowed || allowed != (response.StatusCode == 200) {
				t.Errorf("%s, %s %s: %d, arrived: %t", name, c.method, c.url, response.StatusCode, arrived)
			}
			if !allowed && (response.Header.Get("Proxy-Status") != "stacyvm; error=http_request_denied" || !strings.HasPrefix(body, `{"error":"`) || !strings.Contains(body, c.rule)) {
				t.Errorf("%s, %s: %v %s", name, c.url, response.Header, body)
			}
		}
	}
}

func TestAMethodCannotBeOverriddenWhereMethodsAreDecidedOn(t *testing.T) {
	i := startInternet(t, answering(echoing))
	client := i.inside("sb-1", narrowAPI, none()).client("http/1.1")
	send(t, client, request{method: "POST", header: map[string]string{"X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Method-Override": "DELETE", "X-Other": "1"}})
	for name := range i.far.last(t).Header {
		if strings.Contains(name, "Method") {
			t.Errorf("%s arrived", name)
		}
	}
	if i.far.last(t).Header.Get("X-Other") != "1" {
		t.Error("another header is gone")
	}
}

func TestConnectIsNotCarried(t *testing.T) {
	i := startInternet(t, answering(echoing))
	conn := i.inside("sb-1", publicInspect, none()).mustTLS()
	_, _ = io.WriteString(conn, "CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("%v, %v", response, err)
	}
	if event := i.decisionOf("request"); event["reason"] != "method" || len(i.far.all()) > 0 {
		t.Errorf("%v", event)
	}
}

func TestAPlaceholderIsReplacedInHeaderValuesOfItsHostAlone(t *testing.T) {
	i := startInternet(t, answering(echoing))
	other := withSecret(secretValue)
	other.Secrets[0]["host"] = "other.test"
	other.Inject = withHeader("another-value").Inject
	basic := func(user string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(user)) }
	for name, protocols := range bothProtocols {
		for what, c := range map[string]struct {
			spec    spec
			request request
			reason  string
			want    string
		}{
			"in a value":      {withSecret(secretValue), request{header: map[string]string{"X-Key": "a" + placeholder + "b" + placeholder}}, "public", "a" + secretValue + "b" + secretValue},
			"in Basic":        {withSecret(secretValue), request{header: map[string]string{"X-Key": basic("me:" + placeholder)}}, "public", basic("me:" + secretValue)},
			"in bAsIc":        {withSecret(secretValue), request{header: map[string]string{"X-Key": "bAsIc " + strings.TrimRight(basic(placeholder + ":")[6:], "=")}}, "public", "bAsIc " + basic(secretValue + ":")[6:]},
			"unknown":         {withSecret(secretValue), request{header: map[string]string{"X-Key": placeholder[:20]}}, "public", placeholder[:20]},
			"in the query":    {withSecret(secretValue), request{url: "https://" + apiHost + "/?key=" + placeholder}, "placeholder", ""},
			"in the path":     {withSecret(secretValue), request{url: "https://" + apiHost + "/" + placeholder}, "placeholder", ""},
			"in a name":       {withSecret(secretValue), request{header: map[string]string{"X-" + placeholder: "1"}}, "placeholder", ""},
			"for others":      {other, request{header: map[string]string{"X-Key": placeholder}}, "placeholder", ""},
			"others in Basic": {other, request{header: map[string]string{"X-Key": basic("me:" + placeholder)}}, "placeholder", ""},
			"revoked":         {withSecret(""), request{header: map[string]string{"X-Key": placeholder}}, "secret_unavailable", ""},
			"not used":        {withSecret(""), request{header: map[string]string{"X-Key": "mine"}}, "public", "mine"},
			"revoked header":  {withHeader(""), request{}, "secret_unavailable", ""},
			"in the body":     {withSecret(secretValue), request{body: strings.Repeat("x", 100_000) + placeholder}, "placeholder", ""},
		} {
			c.request.method = "POST"
			header := map[string]string{"X-Case": name + what}
			maps.Copy(header, c.request.header)
			c.request.header = header
			response, _ := send(t, i.inside("sb-"+name, publicPolicy, c.spec).client(protocols...), c.request)
			event := i.decisionOf("request")
			if c.request.body != "" && event["decision"] == "allowed" {
				// It was on its way when the placeholder came.
				event = i.decisionOf("request")
			}
			if event["reason"] != c.reason {
				t.Errorf("%s, %s: %v", name, what, event)
			}
			// What was cut in its body may arrive late.
			seen := slices.DeleteFunc(i.far.all(), func(r seenRequest) bool { return r.Header.Get("X-Case") != name+what })
			switch {
			case c.reason == "public":
				if len(seen) != 1 || seen[0].Header.Get("X-Key") != c.want || response.StatusCode != 200 {
					t.Errorf("%s, %s: %d, %v", name, what, response.StatusCode, seen)
				}
			case response.StatusCode != http.StatusForbidden:
				t.Errorf("%s, %s: %d", name, what, response.StatusCode)
			case c.request.body == "" && len(seen) > 0, len(seen) > 0 && strings.Contains(seen[0].body, placeholder):
				t.Errorf("%s, %s: arrived: %v", name, what, seen)
			}
			i.must(`"op":"drop","sandbox":"sb-` + name + `"`)
		}
	}
}

func TestAPlaceholderInTrailersIsDenied(t *testing.T) {
	i := startInternet(t, answering(echoing))
	conn := i.inside("sb-1", publicPolicy, withSecret(secretValue)).mustTLS()
	_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n1\r\na\r\n0\r\nX-Late: %s\r\n\r\n", apiHost, placeholder)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || response.StatusCode != http.StatusForbidden {
		t.Fatalf("%v, %v", response, err)
	}
	i.decisionOf("request")
	if event := i.decisionOf("request"); event["reason"] != "placeholder" {
		t.Errorf("%v", event)
	}
	for _, seen := range i.far.all() {
		if strings.Contains(fmt.Sprint(seen.Trailer), placeholder) {
			t.Errorf("arrived: %v", seen.Trailer)
		}
	}
}

func TestSecretsAreForHTTPSAlone(t *testing.T) {
	i := startInternet(t, nil)
	far := serveHTTP(t, "203.0.113.7:443", nil, answering(echoing))
	for _, c := range []struct {
		spec   spec
		header map[string]string
		reason string
	}{
		{withHeader(secretValue), nil, "not_https"},
		{withSecret(secretValue), map[string]string{"X-Key": placeholder}, "placeholder"},
		{withSecret(secretValue), map[string]string{"X-Key": "mine"}, "public"},
	} {
		before := len(far.all())
		response, body := send(t, i.inside("sb-1", publicPolicy, c.spec).client(), request{method: "GET", url: "http://" + apiHost + ":443/x", header: c.header})
		if event := i.decisionOf("request"); event["reason"] != c.reason || (response.StatusCode == 200) != (c.reason == "public") {
			t.Errorf("%v: %d %s", event, response.StatusCode, body)
		}
		if seen := far.all()[before:]; (len(seen) == 1) != (c.reason == "public") || strings.Contains(fmt.Sprint(seen), "hunter2") {
			t.Errorf("%s: arrived: %v", c.reason, seen)
		}
		i.must(`"op":"drop","sandbox":"sb-1"`)
	}
}

func TestAnotherProtocolOrAnotherNameEndsAnInspectedFlow(t *testing.T) {
	i := startInternet(t, answering(echoing))
	for first, reason := range map[string]string{"SSH-2.0-x\r\n": "not_http", "\x00\x01\x02": "not_http", clientHello(t, "other.test"): "sni_mismatch"} {
		in := i.inside("sb-1", publicPolicy, withHeader(secretValue))
		conn, err := in.dial(apiHost, 443)
		if err != nil {
			t.Fatal(err)
		}
		i.decisionOf("connect")
		_, _ = io.WriteString(conn, first)
		_ = conn.(*net.UnixConn).CloseWrite()
		if event := i.decisionOf("connect"); event["decision"] != "denied" || event["reason"] != reason {
			t.Errorf("%q: %v", first, event)
		}
		if closed := i.event("closed"); closed["reason"] != "reset" {
			t.Errorf("%q: %v", first, closed)
		}
	}
	if len(i.far.all()) > 0 {
		t.Error("something arrived")
	}
}

func TestAPlaceholderInTheClearEndsAFlowThatIsNotInspected(t *testing.T) {
	i := startInternet(t, nil)
	far := collect(t, "203.0.113.7:80")
	for cut := 0; cut <= len(placeholder); cut += 5 {
		in := i.inside("sb-1", publicPolicy, withSecret(secretValue))
		conn, err := in.dial("other.test", 80)
		if err != nil {
			t.Fatal(err)
		}
		i.decisionOf("connect")
		for _, piece := range []string{strings.Repeat("x", 70_000) + placeholder[:cut], placeholder[cut:] + "y"} {
			_, _ = io.WriteString(conn, piece)
		}
		if event := i.decisionOf("connect"); event["decision"] != "denied" || event["reason"] != "placeholder" {
			t.Errorf("%v", event)
		}
		<-far.ends
		if strings.Contains(far.text(), placeholder) {
			t.Error("it arrived")
		}
	}
}

func TestWithoutAValidCertificateNothingIsSent(t *testing.T) {
	trusted, stranger := newIssuer(t), newIssuer(t)
	hour := time.Now().Add(time.Hour)
	i := startInternetWith(t, trusted, nil, nil)
	for name, certificate := range map[string]tls.Certificate{
		"another name": trusted.issue(t, "other.test", hour), "a name below": trusted.issue(t, "x."+apiHost, hour),
		"expired": trusted.issue(t, apiHost, time.Now().Add(-time.Minute)), "another authority": stranger.issue(t, apiHost, hour),
	} {
		far := serveHTTP(t, "203.0.113.7:443", &tls.Config{Certificates: []tls.Certificate{certificate}}, answering(echoing))
		for protocol, protocols := range map[string][]string{"http/1.1": {"http/1.1"}, "h2": {"h2"}, "none": nil} {
			response, body := send(t, i.inside("sb-1", publicPolicy, withHeader(secretValue)).client(protocols...), request{method: "GET"})
			if response.StatusCode != http.StatusBadGateway || response.Header.Get("Proxy-Status") != "stacyvm; error=tls_certificate_error" || !strings.Contains(body, "certificate") {
				t.Errorf("%s, %s: %d %v %s", name, protocol, response.StatusCode, response.Header, body)
			}
			if event := i.decisionOf("request"); event["decision"] != "failed" || event["reason"] != "certificate" || event["secrets"] != nil {
				t.Errorf("%s, %s: %v", name, protocol, event)
			}
		}
		if len(far.all()) > 0 {
			t.Errorf("%s: a request arrived", name)
		}
		_ = far.server.Close()
	}
}

func TestAFarEndThatIsNotThereIsToldInWords(t *testing.T) {
	i := startInternet(t, nil)
	serveOutside(t, "203.0.113.7:443", func(*net.TCPConn) {})
	response, body := send(t, i.inside("sb-1", publicPolicy, withHeader(secretValue)).client("h2", "http/1.1"), request{method: "GET"})
	if event := i.decisionOf("request"); response.StatusCode != http.StatusBadGateway || event["decision"] != "failed" || event["reason"] != "refused" {
		t.Errorf("%d %s %v", response.StatusCode, body, event)
	}
}

func TestTheAuthorityOfOneSandboxIsNotTrustedByAnother(t *testing.T) {
	i := startInternet(t, answering(echoing))
	one := i.inside("sb-1", publicPolicy, withHeader(secretValue))
	two := withHeader(secretValue)
	two.Seed = seeds["other"]
	other := i.inside("sb-2", publicPolicy, two)
	one.pool, other.pool = other.pool, one.pool
	for _, in := range []*inside{one, other} {
		if _, err := in.tls(); err == nil || !strings.Contains(err.Error(), "unknown authority") {
			t.Errorf("%s: %v", in.id, err)
		}
	}
}

// TestAMessageThatTwoReadersCutDifferentlyArrivesAsOne: what goes on was framed anew, or isn't sent at all.
func TestAMessageThatTwoReadersCutDifferentlyArrivesAsOne(t *testing.T) {
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: api.example.com\r\n\r\n"
	for name, head := range map[string]string{
		"two hosts":              "Host: api.example.com\r\nHost: api.example.com\r\n",
		"two lengths":            "Content-Length: 0\r\nContent-Length: 50\r\n",
		"two codings":            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
		"another coding":         "Transfer-Encoding: xchunked\r\n",
		"a space before a colon": "Content-Length : 50\r\n",
		"a length with a sign":   "Content-Length: +50\r\n",
		"no host":                "-",
		"a folded length":        "Content-Length:\r\n 0\r\n",
		"both":                   "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
		"a folded header":        "X-A: b\r\n Host: other.test\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			i := startInternet(t, answering(echoing))
			conn := i.inside("sb-1", narrowAPI, none()).mustTLS()
			if head == "-" {
				head = ""
			} else if !strings.HasPrefix(head, "Host") {
				head = "Host: api.example.com\r\n" + head
			}
			_, _ = io.WriteString(conn, "POST /v1/x HTTP/1.1\r\n"+head+"\r\n0\r\n\r\n"+smuggled)
			_ = conn.CloseWrite()
			_, _ = io.ReadAll(conn)
			for _, seen := range i.far.all() {
				if seen.RequestURI != "/v1/x" || seen.body != "" || len(seen.Header["Content-Length"]) > 0 && len(seen.TransferEncoding) > 0 || seen.Host != apiHost {
					t.Errorf("%s: %s %v %q", name, seen.RequestURI, seen.Header, seen.body)
				}
				if name != "both" && name != "a folded header" && name != "a folded length" {
					t.Errorf("%s: arrived", name)
				}
			}
		})
	}
}
