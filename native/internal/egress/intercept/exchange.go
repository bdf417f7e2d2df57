package intercept

import (
	"maps"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"stacyvm/native/internal/egress/policy"
	"stacyvm/native/internal/egresswire"
)

// rules are what a request is decided by.
type rules struct {
	set    *policy.Set
	config *Config
	target *Target
}

func (s *Session) rules() rules {
	set, config := s.flow.Rules()
	return rules{set, config, config.Of(s.host, s.port)}
}

// exchange is one request and its response.
type exchange struct {
	session *Session
	rules
	method, path string
	verdict      policy.Verdict
	// header is the request's with placeholders replaced, inject what is put over it.
	header, inject http.Header
	used           map[string]string
	toldAllowed    sync.Once
	// hasPlaceholder: one was found in the body.
	hasPlaceholder  atomic.Bool
	toldPlaceholder sync.Once
	sweep           *sweep
	toldMasked      sync.Once
}

// ServeHTTP decides on a request and carries it to the far end.
func (s *Session) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.running.Done()
	defer survive()
	x := &exchange{session: s, method: r.Method, path: rawPath(r.RequestURI)}
	refusal := x.decide(r)
	for refusal == nil && !s.use(x.used, x.rules) {
		refusal = x.decide(r)
	}
	if refusal != nil {
		x.refuse(w, refusal)
		return
	}
	x.forward(w, r)
}

// decide reads what holds now, and what the request is to carry by that.
func (x *exchange) decide(r *http.Request) *refusal {
	x.rules = x.session.rules()
	x.used = map[string]string{}
	x.sweep = &sweep{}
	if x.target != nil {
		x.sweep.masker = x.target.masker
	}
	if !x.session.isOwn(r.Host) || r.URL.Scheme != "" && !strings.EqualFold(r.URL.Scheme, x.session.scheme()) {
		return refuseHost
	}
	switch r.Method {
	case http.MethodTrace, http.MethodConnect, "PRI":
		return refuseMethod
	}
	byMethod, byPath := x.set.Narrows(x.session.host, x.session.port)
	path, ok := readPath(x.path)
	if !ok {
		if byPath {
			return refusePath
		}
		path = x.path
	}
	if x.verdict = x.set.Request(x.session.host, x.session.port, r.Method, path); !x.verdict.Allowed {
		return refusePolicy(x.verdict)
	}
	x.header = r.Header.Clone()
	if byMethod {
		for _, name := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override"} {
			x.header.Del(name)
		}
	}
	if refusal := x.replace(r); refusal != nil {
		return refusal
	}
	return x.injectAll()
}

// isOwn tells whether an authority is the flow's host, at its port.
func (s *Session) isOwn(authority string) bool {
	host, port, hasPort := strings.Cut(authority, ":")
	name, ok := egresswire.Name(host)
	return ok && name == s.host && (!hasPort || port == strconv.Itoa(int(s.port)))
}

func (s *Session) scheme() string {
	if s.far.isTLS {
		return "https"
	}
	return "http"
}

// forward carries a request that was decided on.
func (x *exchange) forward(w http.ResponseWriter, r *http.Request) {
	defer x.endMasking()
	defer x.endSearch()
	// As the connection is there, and before anything of the request is sent on it.
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		x.toldAllowed.Do(func() { x.tell(Allowed, x.verdict.Reason, x.verdict) })
	}}
	ctx := withExchange(httptrace.WithClientTrace(r.Context(), trace), x)
	out := r.WithContext(ctx)
	out.Header = x.header
	if r.Body != nil && r.Body != http.NoBody && x.config.hasPlaceholders() {
		out.Body = &searchedBody{ReadCloser: r.Body, request: r, exchange: x}
	}
	// Without it an answer that comes before the request has ended ends the request.
	_ = http.NewResponseController(w).EnableFullDuplex()
	x.session.proxy.ServeHTTP(&writer{w, x}, out)
}

// tell tells a decision; what an allowed request carries is told with it.
func (x *exchange) tell(outcome, reason string, by policy.Verdict) {
	event := Event{Outcome: outcome, Reason: reason, By: by, Method: shown(x.method), Path: x.shownPath()}
	if outcome == Allowed {
		event.Secrets = slices.Sorted(maps.Keys(x.used))
	}
	x.session.flow.Tell(event)
}

func (x *exchange) shownPath() string {
	path := shown(x.path)
	if x.sweep.masker != nil {
		path = masked(x.sweep.masker, path)
	}
	return path
}

// endSearch tells once that a placeholder was found in what the sandbox sent.
func (x *exchange) endSearch() {
	if x.hasPlaceholder.Load() {
		x.toldPlaceholder.Do(func() { x.tell(Denied, ReasonPlaceholder, policy.Verdict{}) })
	}
}

// endMasking tells once what was masked in the response.
func (x *exchange) endMasking() {
	x.toldMasked.Do(func() {
		if found := x.sweep.names(); len(found) > 0 {
			x.session.flow.Tell(Event{Outcome: Masked, Reason: ReasonSecret, Method: shown(x.method), Path: x.shownPath(), Secrets: found})
		}
	})
}
