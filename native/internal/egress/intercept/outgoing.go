package intercept

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
)

// replace puts secrets in the places of their placeholders, and refuses placeholders where they have no place.
func (x *exchange) replace(r *http.Request) *refusal {
	if !x.config.hasPlaceholders() {
		return nil
	}
	known := &x.config.placeholders
	if at, _ := known.in(r.RequestURI); at >= 0 {
		return refusePlaceholder
	}
	target := x.target
	if !x.session.far.isTLS {
		target = nil
	}
	for name, values := range x.header {
		if known.inName(name) {
			return refusePlaceholder
		}
		for i, value := range values {
			replaced, err := known.replaceIn(value, target, x.used)
			switch {
			case errors.Is(err, errUnavailable):
				return refuseUnavailable
			case err != nil:
				return refusePlaceholder
			}
			values[i] = replaced
		}
	}
	return nil
}

// replaceIn replaces in a header's value, in what it says in Basic's base64 too.
func (p *placeholders) replaceIn(value string, target *Target, used map[string]string) (string, error) {
	scheme, encoded, ok := strings.Cut(value, " ")
	if ok && strings.EqualFold(scheme, "basic") {
		encoded = strings.TrimRight(strings.TrimSpace(encoded), "=")
		if decoded, err := base64.RawStdEncoding.DecodeString(encoded); err == nil {
			if at, _ := p.in(string(decoded)); at >= 0 {
				replaced, err := p.replace(string(decoded), target, used)
				return scheme + " " + base64.StdEncoding.EncodeToString([]byte(replaced)), err
			}
		}
	}
	return p.replace(value, target, used)
}

// injectAll makes the headers that every request to the target gets.
func (x *exchange) injectAll() *refusal {
	x.inject = http.Header{}
	if x.target == nil || len(x.target.inject) == 0 {
		return nil
	}
	if !x.session.far.isTLS {
		return refusePlain
	}
	for _, injection := range x.target.inject {
		if !injection.isAvailable {
			return refuseUnavailable
		}
		x.inject.Set(injection.header, injection.before+injection.value+injection.after)
		x.used[injection.name] = injection.value
	}
	return nil
}

// newProxy carries requests to the far end and answers back.
func (s *Session) newProxy() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:        s.rewrite,
		Transport:      s.transport,
		FlushInterval:  -1,
		ErrorLog:       silent,
		BufferPool:     copyPieces{},
		ModifyResponse: func(response *http.Response) error { return exchangeOf(response.Request.Context()).receive(response) },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			exchangeOf(r.Context()).fail(w, r, err)
		},
	}
}

// rewrite makes the request that the far end gets: the sandbox's own, with what is injected.
func (s *Session) rewrite(pr *httputil.ProxyRequest) {
	x := exchangeOf(pr.In.Context())
	url := pr.Out.URL
	url.Scheme, url.Host, url.User, url.Fragment = s.scheme(), net.JoinHostPort(s.host, strconv.Itoa(int(s.port))), nil, ""
	url.RawQuery, url.ForceQuery = pr.In.URL.RawQuery, pr.In.URL.ForceQuery
	// The path goes on as it was written; one that begins with // would be read as an authority.
	if strings.HasPrefix(x.path, "/") && !strings.HasPrefix(x.path, "//") {
		url.Opaque = x.path
	}
	// In one spelling; with the port if the sandbox says it.
	pr.Out.Host = s.host
	if _, port, hasPort := strings.Cut(pr.In.Host, ":"); hasPort {
		pr.Out.Host += ":" + port
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, has := pr.In.Header[name]; has {
			pr.Out.Header[name] = values
		}
	}
	// What another protocol carries couldn't be looked into.
	if upgrade := pr.Out.Header.Get("Upgrade"); upgrade != "" && !strings.EqualFold(upgrade, "websocket") {
		pr.Out.Header.Del("Upgrade")
		pr.Out.Header.Del("Connection")
	}
	// It is filled as the body ends.
	pr.Out.Trailer = pr.In.Trailer
	if x.sweep.masker != nil {
		pr.Out.Header.Set("Accept-Encoding", "identity")
		pr.Out.Header.Del("Sec-Websocket-Extensions")
		if pr.Out.Header.Get("Grpc-Accept-Encoding") != "" {
			pr.Out.Header.Set("Grpc-Accept-Encoding", "identity")
		}
	}
	for name, values := range x.inject {
		pr.Out.Header[name] = values
	}
}

// fail answers a request that the far end gave no answer to.
func (x *exchange) fail(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case x.hasPlaceholder.Load():
		x.refuse(w, refusePlaceholder)
	case r.Context().Err() != nil:
		// The sandbox is gone.
		panic(http.ErrAbortHandler)
	default:
		x.refuse(w, refuseFailure(failureOf(err)))
	}
}

// errPlaceholder ends the sending of a body that has a placeholder.
var errPlaceholder = errors.New("a placeholder is in the body")

func (c *Config) hasPlaceholders() bool { return c != nil && c.placeholders.longest > 0 }

// searchedBody is a request's body in which placeholders are looked for.
type searchedBody struct {
	io.ReadCloser
	request  *http.Request
	exchange *exchange
	finder   Finder
}

func (b *searchedBody) Read(to []byte) (n int, err error) {
	defer guard(&err)
	n, err = b.ReadCloser.Read(to)
	isFound := b.finder.Find(b.exchange.config, to[:n])
	if err == io.EOF {
		for name, values := range b.request.Trailer {
			at, _ := b.exchange.config.placeholders.in(strings.Join(values, "\n"))
			isFound = isFound || at >= 0 || b.exchange.config.placeholders.inName(name)
		}
	}
	if isFound {
		b.exchange.hasPlaceholder.Store(true)
		return 0, errPlaceholder
	}
	return n, err
}

// copyPieces are the buffers that answers are copied through.
type copyPieces struct{}

var copies = sync.Pool{New: func() any { return new([pieceBytes]byte) }}

func (copyPieces) Get() []byte { return copies.Get().(*[pieceBytes]byte)[:] }

func (copyPieces) Put(piece []byte) { copies.Put((*[pieceBytes]byte)(piece)) }

type exchangeKey struct{}

func withExchange(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }
