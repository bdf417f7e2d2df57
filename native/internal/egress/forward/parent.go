package forward

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// parentAnswer is what the operator's proxy said instead of opening a tunnel.
type parentAnswer struct {
	status int
	line   string
}

func (a *parentAnswer) Error() string { return "proxyconnect: " + a.line }

// connectBy opens a tunnel through the operator's proxy, which makes its own rules.
func (f *Forward) connectBy(ctx context.Context, parent *url.URL, to string) (net.Conn, error) {
	plain, err := f.client.Dial(ctx, authority(parent))
	if err != nil {
		return nil, fmt.Errorf("proxyconnect: %w", err)
	}
	var conn net.Conn = plain
	if parent.Scheme == "https" {
		conn = tls.Client(plain, &tls.Config{ServerName: parent.Hostname(), MinVersion: tls.VersionTLS12})
	}
	tunnel, err := ask(conn, parent.User, to)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return tunnel, nil
}

// ask has a proxy open a tunnel on a connection to it.
func ask(conn net.Conn, credentials *url.Userinfo, to string) (net.Conn, error) {
	if err := conn.SetDeadline(time.Now().Add(parentTimeout)); err != nil {
		return nil, err
	}
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: to}, Host: to, Header: http.Header{}}
	if credentials != nil {
		password, _ := credentials.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(credentials.Username()+":"+password)))
	}
	if err := request.Write(conn); err != nil {
		return nil, fmt.Errorf("proxyconnect: %w", err)
	}
	reader := bufio.NewReaderSize(conn, headBytes)
	response, err := http.ReadResponse(reader, request)
	if err != nil {
		return nil, fmt.Errorf("proxyconnect: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, &parentAnswer{response.StatusCode, response.Status}
	}
	return &tunnelled{conn, reader}, conn.SetDeadline(time.Time{})
}

// tunnelled has first what came with the proxy's answer.
type tunnelled struct {
	net.Conn
	reader *bufio.Reader
}

func (t *tunnelled) Read(to []byte) (int, error) { return t.reader.Read(to) }

// CloseWrite ends what is sent.
func (t *tunnelled) CloseWrite() error { return closeWrite(t.Conn) }
