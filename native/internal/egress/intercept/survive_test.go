package intercept

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"testing"

	"stacyvm/native/internal/egress/policy"
)

// faulty is a flow with a mistake in it.
type faulty struct {
	set    *policy.Set
	inTell bool
}

func (f *faulty) Rules() (*policy.Set, *Config) { return f.set, nil }
func (f *faulty) Roots() *Roots                 { return nil }

func (f *faulty) Dial(context.Context) (net.Conn, error) { panic("a mistake") }

func (f *faulty) Tell(Event) {
	if f.inTell {
		panic("a mistake")
	}
}

func TestAMistakeEndsOneRequestAndNotTheGateway(t *testing.T) {
	set, err := policy.Compile([]policy.Policy{{Name: "server", Mode: policy.Public}})
	if err != nil {
		t.Fatal(err)
	}
	for _, inTell := range []bool{false, true} {
		near, far := net.Pipe()
		session := NewSession(t.Context(), "api.test", 80, &faulty{set, inTell})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			session.Serve(far, false)
		}()
		if _, err := near.Write([]byte("GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(near), nil)
		if inTell && err == nil || !inTell && (err != nil || response.StatusCode != http.StatusBadGateway) {
			t.Errorf("%v, %v", response, err)
		}
		_ = near.Close()
		<-ended
	}
}
