package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
)

// https asks for a URL; an address instead of the name's, another server name and another Host may be said.
func https(args []string) (any, error) {
	url, address, sni, host, caFile := args[0], args[1], args[2], args[3], args[4]
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots.AppendCertsFromPEM(pem)
	settings := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if sni != "-" {
		settings.ServerName = sni
	}
	client := http.Client{Timeout: readTimeout, Transport: &http.Transport{
		TLSClientConfig: settings,
		DialContext: func(_ context.Context, network, asked string) (net.Conn, error) {
			if address != "-" {
				asked = address
			}
			return dial(network, asked, dialTimeout)
		},
	}}
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if host != "-" {
		request.Host = host
	}
	start := time.Now()
	answer, err := client.Do(request)
	if err != nil {
		return outcome{Error: nameOf(err), Ms: since(start)}, nil
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, readBytes))
	return outcome{Connected: true, Status: answer.StatusCode, Read: body, Error: nameOf(err), Ms: since(start)}, nil
}

// fetch is what most Go programs do: the default client, with the system's roots and the environment's proxy.
func fetch(args []string) (any, error) {
	answer, err := http.Get(args[0])
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, readBytes))
	return outcome{Connected: true, Status: answer.StatusCode, Read: body, Error: nameOf(err)}, nil
}

// pieces writes everything in parts of so many bytes, each a segment of its own.
type pieces struct {
	net.Conn
	size int
}

func (p pieces) Write(all []byte) (int, error) {
	for at := 0; at < len(all); at += p.size {
		if _, err := p.Conn.Write(all[at:min(at+p.size, len(all))]); err != nil {
			return at, err
		}
	}
	return len(all), nil
}

// hello tries a TLS handshake and trusts anybody: whether the far end answered is what counts.
func hello(args []string) (any, error) {
	size, err := strconv.Atoi(args[2])
	if err != nil {
		return nil, err
	}
	conn, err := dial("tcp", args[0], dialTimeout)
	if err != nil {
		return outcome{Error: nameOf(err)}, nil
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(readTimeout))
	if tcp, is := conn.(interface{ SetNoDelay(on bool) error }); is {
		_ = tcp.SetNoDelay(true)
	}
	name := args[1]
	if name == "-" {
		name = ""
	}
	err = tls.Client(pieces{conn, size}, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
	status := 0
	if err == nil {
		status = 1
	}
	return outcome{Connected: true, Error: nameOf(err), Status: status}, nil
}
