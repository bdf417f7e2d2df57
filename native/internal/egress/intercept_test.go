package egress

import (
	"net/http"
	"strings"
	"testing"
)

const publicInspect = `{"name":"sandbox","mode":"public","allow":[{"text":"api","host":"api.example.com","inspect":true}],"deny":[]}`

func TestASecretReachesItsHostAndNeverTheSandbox(t *testing.T) {
	i := startInternet(t, answering(echoing))
	for name, protocols := range bothProtocols {
		for _, c := range []struct {
			spec   spec
			header map[string]string
			want   string
		}{
			{withSecret(secretValue), map[string]string{"Authorization": "Bearer " + placeholder}, "Bearer " + secretValue},
			{withHeader(secretValue), map[string]string{"Authorization": "Bearer mine"}, "Bearer " + secretValue},
		} {
			in := i.inside("sb-"+name, publicPolicy, c.spec)
			response, body := send(t, in.client(protocols...), request{method: "POST", body: "hello", header: c.header})
			if got := i.far.last(t); got.Header.Get("Authorization") != c.want || got.body != "hello" || got.Host != apiHost || got.RequestURI != "/v1/x?q=1" || got.Proto != response.Proto {
				t.Errorf("%s: %v %s %q", name, got.Header, got.Proto, got.body)
			}
			if mask := "Bearer " + strings.Repeat("*", len(secretValue)); response.StatusCode != 200 || body != mask+"||hello" || response.Header.Get("X-Echo") != mask {
				t.Errorf("%s: %d %v %q", name, response.StatusCode, response.Header, body)
			}
			event := i.decisionOf("request")
			if event["decision"] != "allowed" || event["reason"] != "public" || event["method"] != "POST" || event["path"] != "/v1/x" || event["host"] != apiHost ||
				len(event["secrets"].([]any)) != 1 || event["secrets"].([]any)[0] != "KEY" {
				t.Errorf("%s: %v", name, event)
			}
			event = i.decisionOf("response")
			if event["decision"] != "masked" || event["secrets"].([]any)[0] != "KEY" {
				t.Errorf("%s: %v", name, event)
			}
		}
	}
}

func TestWhatTheGatewayAddsToARequestIsNothing(t *testing.T) {
	i := startInternet(t, answering(func(w http.ResponseWriter, r *http.Request, body string) {
		w.Header()["Content-Type"], w.Header()["Date"] = nil, nil
		echoing(w, r, body)
	}))
	in := i.inside("sb-1", publicInspect, spec{Seed: seeds["one"]})
	response, body := send(t, in.client("http/1.1"), request{method: "GET", header: map[string]string{"User-Agent": "", "X-Forwarded-For": "mine"}})
	got := i.far.last(t)
	if len(got.Header) != 1 || got.Header.Get("X-Forwarded-For") != "mine" {
		t.Errorf("%v", got.Header)
	}
	if body != "||" || len(response.Header) != 2 || response.Header.Get("Content-Length") != "2" {
		t.Errorf("%q, %v", body, response.Header)
	}
	for _, target := range []string{"/a%2Fb{}", "/%41//x?a=%zz&b;c", "/a?", "//x/y"} {
		conn := in.mustTLS()
		_, _ = conn.Write([]byte("GET " + target + " HTTP/1.1\r\nHost: API.example.com.:443\r\n\r\n"))
		_, _ = conn.Read(make([]byte, 1))
		if got := i.far.last(t); got.RequestURI != target && !strings.HasSuffix(got.RequestURI, target) || got.Host != apiHost+":443" {
			t.Errorf("%s: %s at %s", target, got.RequestURI, got.Host)
		}
		_ = conn.Close()
	}
}

func TestASecretInAHeadersNameIsLeftOutAndOneThatIsANumberLeavesLengthsAlone(t *testing.T) {
	i := startInternet(t, answering(func(w http.ResponseWriter, r *http.Request, _ string) {
		w.Header().Set("X-"+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "1")
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("0123456789"))
	}))
	for value, want := range map[string]string{"10": "0123456789", "0123456789": "**********"} {
		response, body := send(t, i.inside("sb-1", publicPolicy, withHeader(value)).client("http/1.1"), request{method: "GET"})
		if response.ContentLength != 10 || body != want || len(value) > 2 && response.Header.Get("X-"+value) != "" {
			t.Errorf("%s: %v %q", value, response.Header, body)
		}
	}
}

func TestARequestToAnotherHostIsMisdirected(t *testing.T) {
	i := startInternet(t, answering(echoing))
	for name, protocols := range bothProtocols {
		in := i.inside("sb-"+name, publicPolicy, withHeader(secretValue))
		for _, host := range []string{"other.test", "api.example.com:80", "x.api.example.com", "api.example.com:443:443", "127.0.0.1", "api.example.com:0443"} {
			response, body := send(t, in.client(protocols...), request{method: "GET", header: map[string]string{"Host": host}})
			if response.StatusCode != http.StatusMisdirectedRequest || !strings.Contains(body, `{"error":"`) || !strings.HasPrefix(response.Header.Get("Proxy-Status"), "stacyvm; error=") {
				t.Errorf("%s, %s: %d %q", name, host, response.StatusCode, body)
			}
			if event := i.decisionOf("request"); event["decision"] != "denied" || event["reason"] != "host_mismatch" || event["secrets"] != nil {
				t.Errorf("%v", event)
			}
		}
	}
	if len(i.far.all()) > 0 {
		t.Error("a request arrived")
	}
}
