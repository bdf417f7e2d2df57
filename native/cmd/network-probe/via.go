package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// dial opens connections: by the system, or through a proxy. Datagrams know no proxy.
var dial = net.DialTimeout

// forwardProxy is the address of a proxy that `talk` asks for whole URLs; empty where it opens connections itself.
var forwardProxy string

// via has all further attempts go through an HTTP proxy: by CONNECT, with the address as it was given, or by requests for URLs.
func via(way, proxy string) error {
	switch way {
	case "connect":
		dial = func(network, address string, timeout time.Duration) (net.Conn, error) {
			if !strings.HasPrefix(network, "tcp") {
				return net.DialTimeout(network, address, timeout)
			}
			return tunnel(proxy, address, timeout)
		}
	case "forward":
		forwardProxy = proxy
	default:
		return fmt.Errorf("%q is no way: connect or forward", way)
	}
	return nil
}

// tunneled reads what came behind the proxy's answer first.
type tunneled struct {
	*net.TCPConn
	reader *bufio.Reader
}

func (t tunneled) Read(into []byte) (int, error) { return t.reader.Read(into) }

func tunnel(proxy, address string, timeout time.Duration) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", proxy, timeout)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(timeout))
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", address, address); err != nil {
		_ = conn.Close()
		return nil, err
	}
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, &http.Request{Method: http.MethodConnect})
	if err == nil && answer.StatusCode != http.StatusOK {
		err = refusal(answer)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	return tunneled{conn.(*net.TCPConn), reader}, nil
}

// refusal is the proxy's status and why.
func refusal(answer *http.Response) error {
	_, why, _ := strings.Cut(answer.Header.Get("Proxy-Status"), "error=")
	return errors.New(strings.TrimSpace(fmt.Sprintf("%d %s", answer.StatusCode, why)))
}

// forward asks the proxy for the address's root.
func forward(address string) (any, error) {
	start := time.Now()
	conn, err := net.DialTimeout("tcp", forwardProxy, dialTimeout)
	if err != nil {
		return outcome{Error: nameOf(err), Ms: since(start)}, nil
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(readTimeout))
	if _, err := fmt.Fprintf(conn, "GET http://%s/ HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", address, address); err != nil {
		return outcome{Error: nameOf(err), Ms: since(start)}, nil
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && answer.Header.Get("Proxy-Status") != "" {
		err = refusal(answer)
	}
	if err != nil {
		return outcome{Error: nameOf(err), Ms: since(start)}, nil
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, readBytes))
	return outcome{Connected: true, Status: answer.StatusCode, Read: body, Error: nameOf(err), Ms: since(start)}, nil
}
