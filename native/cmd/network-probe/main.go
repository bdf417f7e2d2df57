// Command network-probe runs inside a sandbox, or on the host, for the tests of outbound network. Each verb tries one thing
// and prints, as JSON, what came of it: what a program there gets to see. What left the sandbox the far ends say.
//
// In front of a verb, `via connect|forward ADDRESS` has it go through an HTTP proxy.
package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	readTimeout = 10 * time.Second
	// Longer than a resolver may take to say that it can't.
	askTimeout = 5 * time.Second
	// An answer from inside the sandbox comes at once.
	datagramTimeout = time.Second
	readBytes       = 64 << 10
)

// outcome is of one attempt. Error is an errno's name where the kernel gave one.
type outcome struct {
	Connected bool    `json:"connected"`
	Error     string  `json:"error,omitempty"`
	Read      []byte  `json:"read,omitempty"`
	Status    int     `json:"status,omitempty"`
	Ms        float64 `json:"ms"`
}

type verb struct {
	arguments string
	count     int
	run       func(args []string) (any, error)
}

var verbs = map[string]verb{
	"talk":     {"NETWORK ADDRESS HEX|- (sends, ends its side, reads to the end)", 3, talk},
	"say":      {"ADDRESS HEX (sends, keeps its side open, reads to the end)", 2, say},
	"ask":      {"udp|tcp ADDRESS HEX (a DNS message)", 3, ask},
	"datagram": {"ADDRESS HEX (sends, waits for an answer)", 2, datagram},
	"https":    {"URL ADDRESS|- SNI|- HOST|- CAFILE", 5, https},
	"fetch":    {"URL (by Go's usual client, and whatever it heeds)", 1, fetch},
	"hello":    {"ADDRESS SNI PIECE (a TLS client hello alone, in pieces of so many bytes)", 3, hello},
	"listen":   {"ADDRESS TEXT (says so, and tells the text to everybody who connects)", 2, listen},
	"lookup":   {"NAME", 1, lookup},
	"hold":     {"ADDRESS", 1, hold},
	"many":     {"ADDRESS COUNT (connections at once)", 2, many},
	"raw":      {"ADDRESS", 1, raw},
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "network-probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 3 && args[0] == "via" {
		if err := via(args[1], args[2]); err != nil {
			return err
		}
		args = args[3:]
	}
	if len(args) > 0 {
		if one, known := verbs[args[0]]; known && len(args) == one.count+1 {
			said, err := one.run(args[1:])
			if err != nil {
				return err
			}
			return json.NewEncoder(os.Stdout).Encode(said)
		}
	}
	for name, one := range verbs {
		fmt.Fprintln(os.Stderr, "  network-probe", name, one.arguments)
	}
	return errors.New("usage: one of the above")
}

// nameOf is what programs know an error by.
func nameOf(err error) string {
	var number syscall.Errno
	var timeout net.Error
	var name *net.DNSError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &number):
		return number.Error()
	case errors.As(err, &name):
		return name.Err
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, io.EOF):
		return "EOF"
	}
	return err.Error()
}

func since(start time.Time) float64 { return float64(time.Since(start).Microseconds()) / 1000 }

func talk(args []string) (any, error) {
	if forwardProxy != "" {
		return forward(args[1])
	}
	start := time.Now()
	conn, err := dial(args[0], args[1], dialTimeout)
	if err != nil {
		return outcome{Error: nameOf(err), Ms: since(start)}, nil
	}
	defer func() { _ = conn.Close() }()
	opened := since(start)
	_ = conn.SetDeadline(time.Now().Add(readTimeout))
	if args[2] != "-" {
		message, err := hex.DecodeString(args[2])
		if err != nil {
			return nil, err
		}
		if _, err := conn.Write(message); err != nil {
			return outcome{Connected: true, Error: nameOf(err), Ms: opened}, nil
		}
	}
	if half, is := conn.(interface{ CloseWrite() error }); is && args[2] != "-" {
		_ = half.CloseWrite()
	}
	if args[2] == "-" {
		// Server first: one read is what it says.
		greeting := make([]byte, readBytes)
		n, err := conn.Read(greeting)
		return outcome{Connected: true, Error: nameOf(err), Read: greeting[:n], Ms: opened}, nil
	}
	read, err := io.ReadAll(io.LimitReader(conn, readBytes))
	return outcome{Connected: true, Error: nameOf(err), Read: read, Ms: opened}, nil
}

func say(args []string) (any, error) {
	message, err := hex.DecodeString(args[1])
	if err != nil {
		return nil, err
	}
	conn, err := dial("tcp", args[0], dialTimeout)
	if err != nil {
		return outcome{Error: nameOf(err)}, nil
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(readTimeout))
	if _, err := conn.Write(message); err != nil {
		return outcome{Connected: true, Error: nameOf(err)}, nil
	}
	read, err := io.ReadAll(io.LimitReader(conn, readBytes))
	return outcome{Connected: true, Error: nameOf(err), Read: read}, nil
}

func ask(args []string) (any, error) { return exchange(args, askTimeout) }

func exchange(args []string, timeout time.Duration) (any, error) {
	message, err := hex.DecodeString(args[2])
	if err != nil {
		return nil, err
	}
	start := time.Now()
	conn, err := dial(args[0], args[1], dialTimeout)
	if err != nil {
		return outcome{Error: nameOf(err), Ms: since(start)}, nil
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(timeout))
	if args[0] == "tcp" {
		message = append([]byte{byte(len(message) >> 8), byte(len(message))}, message...)
	}
	if _, err := conn.Write(message); err != nil {
		return outcome{Connected: true, Error: nameOf(err), Ms: since(start)}, nil
	}
	reply := make([]byte, readBytes)
	if args[0] == "udp" {
		n, err := conn.Read(reply)
		return outcome{Connected: true, Error: nameOf(err), Read: reply[:n], Ms: since(start)}, nil
	}
	if _, err := io.ReadFull(conn, reply[:2]); err != nil {
		return outcome{Connected: true, Error: nameOf(err), Ms: since(start)}, nil
	}
	length := int(reply[0])<<8 | int(reply[1])
	n, err := io.ReadFull(conn, reply[:length])
	return outcome{Connected: true, Error: nameOf(err), Read: reply[:n], Ms: since(start)}, nil
}

// datagram says "connection refused" where ICMP said that nobody is there.
func datagram(args []string) (any, error) {
	return exchange([]string{"udp", args[0], args[1]}, datagramTimeout)
}

func lookup(args []string) (any, error) {
	start := time.Now()
	addresses, err := net.LookupHost(args[0])
	return struct {
		Addresses []string `json:"addresses"`
		Error     string   `json:"error,omitempty"`
		Ms        float64  `json:"ms"`
	}{addresses, nameOf(err), since(start)}, nil
}

func listen(args []string) (any, error) {
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return nil, err
	}
	fmt.Println("listening")
	for {
		conn, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		_, _ = conn.Write([]byte(args[1]))
		_ = conn.Close()
	}
}

// hold keeps a connection: says when it is open, and, in the end, how it ended.
func hold(args []string) (any, error) {
	conn, err := dial("tcp", args[0], dialTimeout)
	if err != nil {
		return outcome{Error: nameOf(err)}, nil
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("held\n")); err != nil {
		return outcome{Connected: true, Error: nameOf(err)}, nil
	}
	greeting := make([]byte, 5)
	if _, err := io.ReadFull(conn, greeting); err != nil {
		return outcome{Connected: true, Error: nameOf(err)}, nil
	}
	fmt.Println(`{"open":true}`)
	_, err = io.Copy(io.Discard, conn)
	return outcome{Connected: true, Error: nameOf(err)}, nil
}

// many holds as many connections as it gets until it knows of all.
func many(args []string) (any, error) {
	count, err := strconv.Atoi(args[1])
	if err != nil {
		return nil, err
	}
	errs := make(chan error, count)
	release := make(chan struct{})
	defer close(release)
	for range count {
		go func() {
			conn, err := dial("tcp", args[0], dialTimeout)
			errs <- err
			if err == nil {
				<-release
				_ = conn.Close()
			}
		}()
	}
	opened, refused := 0, map[string]int{}
	for range count {
		if err := <-errs; err == nil {
			opened++
		} else {
			refused[nameOf(err)]++
		}
	}
	return struct {
		Opened  int            `json:"opened"`
		Refused map[string]int `json:"refused"`
	}{opened, refused}, nil
}
