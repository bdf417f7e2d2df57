package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const dialTimeout = 30 * time.Second

// connect prints how long connections to an address take to open, one after another.
func connect(n int, address string) error {
	times := make([]time.Duration, n)
	for i := range times {
		begun := time.Now()
		conn, err := net.DialTimeout("tcp", address, dialTimeout)
		if err != nil {
			return err
		}
		times[i] = time.Since(begun)
		_ = conn.Close()
	}
	slices.Sort(times)
	fmt.Printf("%.3f %.3f\n", milliseconds(times[n/2]), milliseconds(times[n*99/100]))
	return nil
}

func download(bytes int, address string) error { return bring(bytes, "http://"+address) }

// fetch is download by TLS.
func fetch(bytes int, address string) error { return bring(bytes, "https://"+address) }

// bring prints how long an app takes to bring so many bytes, in milliseconds.
func bring(bytes int, app string) error {
	begun := time.Now()
	answer, err := http.Get(fmt.Sprintf("%s/bytes?n=%d", app, bytes))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	came, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body, make([]byte, 256<<10))
	if err != nil {
		return err
	}
	if came != int64(bytes) {
		return fmt.Errorf("%d of %d bytes came", came, bytes)
	}
	fmt.Printf("%.1f\n", milliseconds(time.Since(begun)))
	return nil
}

// parallel holds so many connections at once, has a greeting over each, and prints how many had it and in how many milliseconds.
func parallel(n int, address string) error {
	begun := time.Now()
	var opened, done sync.WaitGroup
	opened.Add(n)
	greeted := make(chan error, n)
	for range n {
		done.Go(func() {
			conn, err := net.DialTimeout("tcp", address, dialTimeout)
			opened.Done()
			if err != nil {
				greeted <- err
				return
			}
			defer conn.Close()
			opened.Wait() // All are open before one is used.
			_ = conn.SetDeadline(time.Now().Add(dialTimeout))
			if _, err = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err == nil {
				var answer []byte
				if answer, err = io.ReadAll(conn); err == nil && len(answer) == 0 {
					err = io.ErrUnexpectedEOF
				}
			}
			greeted <- err
		})
	}
	done.Wait()
	close(greeted)
	good := 0
	for err := range greeted {
		if err == nil {
			good++
		}
	}
	fmt.Printf("%d %.1f\n", good, milliseconds(time.Since(begun)))
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
