package egress

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"stacyvm/native/internal/egresswire"
)

// ask sends a request on a connection and reads the answer; it tells whether the connection still is one.
func ask(t testing.TB, conn io.ReadWriter, header string) (status int, isAlive bool) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n", apiHost, header); err != nil {
		return 0, false
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, true
}

func TestAFlowIsCutByWhatChangesWhatItSentOrHowItIsLookedInto(t *testing.T) {
	i := startInternet(t, answering(echoing))
	uses := "X-Key: " + placeholder + "\r\n"
	both := withHeader("another-value")
	both.Secrets = withSecret(secretValue).Secrets
	both.Inject[0]["name"] = "OTHER"
	added := withSecret(secretValue)
	added.Secrets = append(added.Secrets, entry("NEW", "", map[string]any{"host": "other.test", "placeholder": placeholder[:20] + "-another-one"}))
	for name, c := range map[string]struct {
		before, after spec
		policy        string
		header        string
		isCut         bool
	}{
		"the same":                    {withSecret(secretValue), withSecret(secretValue), publicPolicy, uses, false},
		"revoked":                     {withSecret(secretValue), withSecret(""), publicPolicy, uses, true},
		"a new value":                 {withSecret(secretValue), withSecret("another-value"), publicPolicy, uses, true},
		"a header's new value":        {withHeader(secretValue), withHeader("another-value"), publicPolicy, "", true},
		"a header's value is revoked": {withHeader(secretValue), withHeader(""), publicPolicy, "", true},
		"revoked before it was used":  {withSecret(secretValue), withSecret(""), publicPolicy, "", false},
		"another secret":              {withSecret(secretValue), added, publicPolicy, uses, false},
		"a header beside it":          {withSecret(secretValue), both, publicPolicy, uses, false},
		"nothing is inspected":        {withSecret(secretValue), none(), publicPolicy, "", true},
		"a rule inspects as well":     {withSecret(secretValue), withSecret(secretValue), publicInspect, uses, false},
		"a request is denied":         {withSecret(secretValue), withSecret(secretValue), narrowAPI, uses, false},
	} {
		in := i.inside("sb-1", publicPolicy, c.before)
		conn := in.mustTLS()
		if status, _ := ask(t, conn, c.header); status != 200 {
			t.Fatalf("%s: %d", name, status)
		}
		answer := in.set(c.policy, c.after)
		if cut := answer["cut"] == 1.0; cut != c.isCut {
			t.Errorf("%s: %v", name, answer)
		}
		status, isAlive := ask(t, conn, c.header)
		if isAlive == c.isCut {
			t.Errorf("%s: alive: %t", name, isAlive)
		}
		if name == "a request is denied" && status != http.StatusForbidden || name == "the same" && status != 200 {
			t.Errorf("%s: %d", name, status)
		}
		_ = conn.Close()
		want := "ended"
		if c.isCut {
			want = "policy_changed"
		}
		if closed := i.event("closed"); closed["reason"] != want {
			t.Errorf("%s: %v", name, closed)
		}
		i.must(`"op":"drop","sandbox":"sb-1"`)
	}
}

func TestASecretIsReadForEachRequestAnew(t *testing.T) {
	i := startInternet(t, answering(echoing))
	in := i.inside("sb-1", publicPolicy, withSecret(""))
	conn := in.mustTLS()
	uses := "X-Key: " + placeholder + "\r\n"
	if status, _ := ask(t, conn, uses); status != http.StatusForbidden {
		t.Fatal(status)
	}
	in.set(publicPolicy, withSecret(secretValue))
	if status, _ := ask(t, conn, uses); status != 200 || i.far.last(t).Header.Get("X-Key") != secretValue {
		t.Fatal(status)
	}
}

func TestAFlowThatIsNotInspectedIsCutWhenItHasToBe(t *testing.T) {
	i := startInternet(t, nil)
	echo(t, "203.0.113.7:443")
	in := i.inside("sb-1", publicPolicy, none())
	conn := in.must(apiHost, 443)
	exchange(t, conn, "hello")
	other := in.must("other.test", 443)
	exchange(t, other, "hello")
	if answer := in.set(publicInspect, none()); answer["cut"] != 1.0 {
		t.Errorf("%v", answer)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("it lives")
	}
	exchange(t, other, "hello")
}

func TestOtherAuthoritiesOfFarEndsCutWhatIsInspected(t *testing.T) {
	i := startInternet(t, answering(echoing))
	in := i.inside("sb-1", publicPolicy, withSecret(secretValue))
	conn := in.mustTLS()
	ask(t, conn, "")
	i.trust(i.issuer.text)
	if status, _ := ask(t, conn, ""); status != 200 {
		t.Errorf("the same authorities cut: %d", status)
	}
	i.trust(newIssuer(t).text)
	if _, isAlive := ask(t, conn, ""); isAlive {
		t.Error("it lives")
	}
	if status, _ := ask(t, in.mustTLS(), ""); status != http.StatusBadGateway {
		t.Errorf("%d", status)
	}
}

func TestARequestThatIsOnItsWayIsCutWithItsSecret(t *testing.T) {
	begun := make(chan struct{})
	ended := make(chan struct{})
	i := startInternet(t, func(*farEnd) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			close(begun)
			<-r.Context().Done()
			close(ended)
		}
	})
	in := i.inside("sb-1", publicPolicy, withHeader(secretValue))
	r, _ := http.NewRequest("GET", "https://"+apiHost+"/", nil)
	response, err := in.client("h2").Do(r)
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	in.set(publicPolicy, withHeader(""))
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("what was cut looks whole")
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the far end isn't told")
	}
}

func TestAnInspectedFlowIsCountedLimitedAndClosedWhenIdle(t *testing.T) {
	const size = 1_000_000
	i := startInternet(t, answering(func(w http.ResponseWriter, _ *http.Request, body string) { _, _ = io.WriteString(w, body) }))
	in := i.inside("sb-1", publicPolicy, withHeader(secretValue))
	limited := func(bytes, idle int) {
		i.must(strings.Replace(setLine("sb-1", in.agent, publicPolicy, fmt.Sprintf(`{"seed":%q,"inject":[{"name":"KEY","host":%q,"port":443,"header":"X-Key","value":"v"}]}`, seeds["one"], apiHost)),
			limits(0, 0, 0, 0), limits(0, 0, int64(bytes), idle), 1))
	}
	limited(2_000_000, 0)
	client := in.client("http/1.1")
	begun := time.Now()
	if _, body := send(t, client, request{method: "POST", body: strings.Repeat("x", size)}); len(body) != size {
		t.Fatalf("%d bytes", len(body))
	}
	if took := time.Since(begun); took < 700*time.Millisecond {
		t.Errorf("two megabytes took %s at two megabytes a second", took)
	}
	limited(0, 1)
	if closed := i.event("closed"); closed["reason"] != "idle" || closed["sent"].(float64) < size || closed["received"].(float64) < size || closed["received"].(float64) > 1.1*size {
		t.Errorf("%v", closed)
	}
}

func TestASandboxWhoseEndIsClosedGetsWhatWasSentBefore(t *testing.T) {
	i := startInternet(t, answering(func(w http.ResponseWriter, _ *http.Request, _ string) {
		_, _ = io.WriteString(w, strings.Repeat("x", 3_000_000))
	}))
	conn := i.inside("sb-1", publicPolicy, withHeader(secretValue)).mustTLS()
	_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", apiHost)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); len(body) != 3_000_000 || err != nil {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	slot := conn.NetConn().(*net.UnixConn)
	if _, err := io.ReadAll(slot); err != nil || egresswire.HungUp(slot) {
		t.Error("what has ended looks like a reset")
	}
	_ = conn.Close()
	if closed := i.event("closed"); closed["reason"] != "ended" {
		t.Errorf("%v", closed)
	}
}
