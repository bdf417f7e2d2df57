package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stacyvm/native/internal/outbound"
)

// patience bounds every wait of a test.
const patience = 20 * time.Second

// sandbox is a proxy whose gateway is a function: it gets each target and the gateway's end of the connection.
type sandbox struct {
	t       *testing.T
	address string
	mutex   sync.Mutex
	asked   []string
	serve   func(to string, far *net.UnixConn) error
}

// newSandbox serves whatever is asked for by the function; an error of it is the gateway's answer.
func newSandbox(t *testing.T, serve func(to string, far *net.UnixConn) error) *sandbox {
	t.Helper()
	s := &sandbox{t: t, serve: serve}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	ended := make(chan error, 1)
	go func() { ended <- Serve(listener.(*net.TCPListener), s.open, func() {}) }()
	t.Cleanup(func() {
		listener.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *sandbox) open(host, address string, port int) (*net.UnixConn, error) {
	to := target{host: host, address: address, port: port}.authority(0)
	s.mutex.Lock()
	s.asked = append(s.asked, to)
	s.mutex.Unlock()
	near, far := socketPair(s.t)
	if err := s.serve(to, far); err != nil {
		near.Close()
		far.Close()
		return nil, err
	}
	return near, nil
}

// targets are what was asked of the gateway since the last call.
func (s *sandbox) targets() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	all := strings.Join(s.asked, " ")
	s.asked = nil
	return all
}

func socketPair(t *testing.T) (near, far *net.UnixConn) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Error(err)
		return nil, nil
	}
	defer listener.Close()
	if near, err = net.DialUnix("unix", nil, &net.UnixAddr{Name: path}); err != nil {
		t.Error(err)
	}
	if far, err = listener.AcceptUnix(); err != nil {
		t.Error(err)
	}
	_ = os.Remove(path)
	return near, far
}

func denied(string, *net.UnixConn) error {
	return &outbound.Refusal{Code: "denied", Message: "the policy doesn't allow it"}
}

// client is a program's connection to the proxy.
type client struct {
	*net.TCPConn
	t      *testing.T
	reader *bufio.Reader
}

func (s *sandbox) dial() *client {
	s.t.Helper()
	conn, err := net.Dial("tcp4", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &client{conn.(*net.TCPConn), s.t, bufio.NewReader(conn)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// ask sends a request as it is written here and returns the answer's status and body.
func (c *client) ask(text string) (int, string) {
	c.t.Helper()
	response := c.begin(text)
	body, err := io.ReadAll(response.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		c.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (c *client) begin(text string) *http.Response {
	c.t.Helper()
	c.send(text)
	method, _, _ := strings.Cut(text, " ")
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	return response
}

// web is a far end that says where it was reached and what it was sent, and keeps the connection.
func web(got chan<- string) func(string, *net.UnixConn) error {
	return func(to string, far *net.UnixConn) error {
		go func() {
			defer far.Close()
			reader := bufio.NewReader(far)
			for {
				request, err := http.ReadRequest(reader)
				if err != nil {
					return
				}
				var text strings.Builder
				_ = request.Write(&text)
				if got != nil {
					got <- text.String()
				}
				_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: "+itoa(len(to))+"\r\n\r\n"+to)
			}
		}()
		return nil
	}
}
