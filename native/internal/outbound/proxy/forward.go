package proxy

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
)

const httpPort = 80

// targetKey is where a request's target stands in its context.
type targetKey struct{}

// forwardOne passes on a request in absolute form, on a connection of its own.
func (p *proxy) forwardOne(w http.ResponseWriter, r *http.Request) {
	to, err := parseTarget(r.URL.Host, httpPort)
	if err != nil {
		fail(w, r.URL.Host, err)
		return
	}
	p.forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), targetKey{}, to)))
}

func (p *proxy) newForward() *httputil.ReverseProxy {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			to, ok := ctx.Value(targetKey{}).(target)
			if !ok {
				return nil, errTarget
			}
			return p.open(to)
		},
		// A connection is the gateway's word on one request, and what is wrong with its answer ends with it.
		DisableKeepAlives:      true,
		DisableCompression:     true,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: headerBytesMax,
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			to, _ := r.In.Context().Value(targetKey{}).(target)
			r.Out.URL.Host, r.Out.Host = to.authority(httpPort), to.authority(httpPort)
			r.Out.URL.User = nil // it is the program's to say, by a header
			r.Out.URL.RawQuery = r.In.URL.RawQuery
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values, ok := r.In.Header[name]; ok && !listed(r.In.Header["Connection"], name) {
					r.Out.Header[name] = values
				}
			}
		},
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
				panic(http.ErrAbortHandler) // the program has left, or ended its side: an answer would be one that nobody gave
			}
			fail(w, r.URL.Host, err)
		},
	}
}

// listed tells whether a Connection header names another one, which then ends here.
func listed(connection []string, name string) bool {
	return slices.ContainsFunc(connection, func(value string) bool {
		return slices.ContainsFunc(strings.Split(value, ","), func(one string) bool {
			return strings.EqualFold(strings.TrimSpace(one), name)
		})
	})
}
