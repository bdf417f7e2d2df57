package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// requests sends n GETs to an app behind the agent, each over a connection of its own, so many at once.
func requests(socket string, port, n, atOnce int) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "unix", socket)
			if err != nil {
				return nil, err
			}
			return through(conn, port)
		},
	}}
	times := make([]time.Duration, n)
	failures := make(chan error, atOnce)
	next := make(chan int)
	begun := time.Now()
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for i := range next {
				begun := time.Now()
				if err := get(client); err != nil {
					select {
					case failures <- err:
					default:
					}
				}
				times[i] = time.Since(begun)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	wall := time.Since(begun)
	close(failures)
	if err := <-failures; err != nil {
		return err
	}
	slices.Sort(times)
	fmt.Printf("dial and GET, n=%d, %d at once: %.0f/s p50 %v p99 %v\n", n, atOnce, float64(n)/wall.Seconds(), times[n/2], times[n*99/100])
	return nil
}

// through has the agent carry the connection to a port.
func through(conn net.Conn, port int) (net.Conn, error) {
	_, err := fmt.Fprintf(conn, "GET /dial?port=%d HTTP/1.1\r\nHost: agent\r\nConnection: Upgrade\r\nUpgrade: stacyvm-dial\r\n\r\n", port)
	if err != nil {
		return nil, err
	}
	// The app says nothing before it is asked, so nothing of it can be held in this reader.
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil && response.StatusCode != http.StatusSwitchingProtocols {
		err = fmt.Errorf("the dial was answered with %s", response.Status)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

func get(client *http.Client) error {
	response, err := client.Get("http://app/")
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return err
}
