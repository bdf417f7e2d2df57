package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

// echo answers each connection with what it sent, after its half-close, and a last word.
func echo(t *testing.T, network, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				got, _ := io.ReadAll(conn)
				_, _ = conn.Write(append(got, " bye"...))
				_ = conn.Close()
			}()
		}
	}()
	return listener
}

func TestADialCarriesBytesAndHalfCloseBothWays(t *testing.T) {
	a := start(t)
	port := echo(t, "tcp", "127.0.0.1:0").Addr().(*net.TCPAddr).Port
	echo(t, "unix", a.dir+"/echo")
	stream, err := a.open(uint32(port))
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&guestv1.DialRequest{Message: &guestv1.DialRequest_Data{Data: []byte("hello")}})
	_ = stream.CloseRequest()
	var got []byte
	for {
		m, err := stream.Receive()
		if err != nil {
			break
		}
		got = append(got, m.Data...)
	}
	if string(got) != "hello bye" {
		t.Errorf("got %q", got)
	}
	for _, query := range []string{"port=" + strconv.Itoa(port), "unix=" + a.dir + "/echo"} {
		if got := a.upgrade(query); got != "early hello bye" {
			t.Errorf("%s: got %q", query, got)
		}
	}
	if got := a.upgrade("unix=" + a.dir + "/missing"); got != "404" {
		t.Errorf("a missing socket: %s", got)
	}
	ports, err := a.guest.ListPorts(context.Background(), connect.NewRequest(&guestv1.ListPortsRequest{}))
	found := false
	for _, p := range ports.Msg.GetPorts() {
		found = found || p.Port == uint32(port) && p.Address == "127.0.0.1" && int(p.Pid) == os.Getpid()
	}
	if err != nil || !found {
		t.Errorf("port %d is not among %v", port, ports)
	}
}

func (a *agent) upgrade(query string) string {
	conn, status := a.tunnel(query, "early ")
	defer func() { _ = conn.Close() }()
	if status != strconv.Itoa(http.StatusSwitchingProtocols) {
		return status
	}
	_, _ = io.WriteString(conn, "hello")
	_ = conn.CloseWrite()
	got, _ := io.ReadAll(conn)
	return string(got)
}

// tunnel asks for a dial, sends the first bytes with the request, and returns the connection and the answer's status.
func (a *agent) tunnel(query, early string) (*net.UnixConn, string) {
	conn, err := net.Dial("unix", a.socket)
	if err != nil {
		a.t.Fatal(err)
	}
	_, _ = io.WriteString(conn, "GET /dial?"+query+" HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: stacyvm-dial\r\n\r\n"+early)
	head := make([]byte, 0, 256)
	one := make([]byte, 1)
	for len(head) < 4 || string(head[len(head)-4:]) != "\r\n\r\n" {
		if _, err := conn.Read(one); err != nil {
			a.t.Fatal(err)
		}
		head = append(head, one[0])
	}
	return conn.(*net.UnixConn), string(head[9:12])
}

// listening gives every connection to accepted, whose end closes what it holds.
func listening(t *testing.T, network, address string) (query string, accepted <-chan net.Conn) {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	conns := make(chan net.Conn, 16)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			conns <- conn
		}
	}()
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok {
		return "port=" + strconv.Itoa(tcp.Port), conns
	}
	return "unix=" + address, conns
}

// TestADialIsFreedOnceItsHostIsGone counts by a bound of one: the next dial stands when the one before is freed.
func TestADialIsFreedOnceItsHostIsGone(t *testing.T) {
	a := start(t, "--max-dials", "1", "--max-dial-linger-ms", "1")
	for _, where := range [][2]string{{"tcp", "127.0.0.1:0"}, {"tcp", "[::1]:0"}, {"unix", a.dir + "/held"}} {
		query, accepted := listening(t, where[0], where[1])
		for name, leave := range map[string]func(host *net.UnixConn, program net.Conn){
			"silent on both sides": func(*net.UnixConn, net.Conn) {},
			"after a half-close":   func(host *net.UnixConn, _ net.Conn) { _ = host.CloseWrite() },
			"the program half-closed": func(host *net.UnixConn, program net.Conn) {
				_ = program.(interface{ CloseWrite() error }).CloseWrite()
				_, _ = host.Read(make([]byte, 1))
			},
			"the program doesn't read": func(host *net.UnixConn, _ net.Conn) {
				_ = host.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
				_, _ = host.Write(make([]byte, 64<<20))
			},
			"the host doesn't read": func(_ *net.UnixConn, program net.Conn) {
				_ = program.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
				_, _ = program.Write(make([]byte, 64<<20))
			},
		} {
			var host *net.UnixConn
			var status string
			eventually(t, where[1]+": a dial after one that was left", func() bool {
				host, status = a.tunnel(query, "")
				if status != "101" {
					_ = host.Close()
				}
				return status == "101"
			})
			leave(host, <-accepted)
			if second, status := a.tunnel(query, ""); status != "429" {
				t.Errorf("%s, %s: a second dial meanwhile: %s", where[1], name, status)
				_ = second.Close()
			}
			_ = host.Close()
		}
		eventually(t, where[1]+": a dial after the last one", func() bool {
			host, status := a.tunnel(query, "")
			_ = host.Close()
			return status == "101"
		})
	}
}

func TestADialOverTheGuestServiceIsFreedWithItsCall(t *testing.T) {
	a := start(t, "--max-dials", "1")
	query, accepted := listening(t, "tcp", "127.0.0.1:0")
	port, _ := strconv.Atoi(strings.TrimPrefix(query, "port="))
	for _, sent := range []int{0, 64} {
		var stream *connect.BidiStreamForClient[guestv1.DialRequest, guestv1.DialResponse]
		eventually(t, "a dial after one that was left", func() bool {
			var err error
			stream, err = a.open(uint32(port))
			return err == nil
		})
		// The program reads nothing: after some of these the agent waits for it.
		go func() {
			for range sent {
				if stream.Send(&guestv1.DialRequest{Message: &guestv1.DialRequest_Data{Data: make([]byte, 1<<20)}}) != nil {
					return
				}
			}
		}()
		<-accepted
		if second, status := a.tunnel(query, ""); status != "429" {
			t.Errorf("a second dial meanwhile: %s", status)
			_ = second.Close()
		}
		_ = stream.CloseResponse()
	}
	eventually(t, "a dial after the last one", func() bool {
		host, status := a.tunnel(query, "")
		_ = host.Close()
		return status == "101"
	})
}

func TestWhatWasSentBeforeTheHostLeftArrives(t *testing.T) {
	a := start(t)
	query, accepted := listening(t, "tcp", "127.0.0.1:0")
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	host, _ := a.tunnel(query, "")
	program := <-accepted
	go func() {
		_, _ = host.Write(sent)
		_ = host.Close()
	}()
	got := make([]byte, 0, len(sent))
	for piece := make([]byte, 1<<10); ; {
		n, err := program.Read(piece)
		got = append(got, piece[:n]...)
		if err != nil {
			break
		}
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes", len(got), len(sent))
	}
}

func TestAProgramThatDiesBreaksItsDial(t *testing.T) {
	a := start(t)
	query, accepted := listening(t, "tcp", "127.0.0.1:0")
	host, _ := a.tunnel(query, "unread")
	program := <-accepted
	_, _ = io.WriteString(program, "part")
	_ = program.Close()
	_ = host.SetReadDeadline(time.Now().Add(10 * time.Second))
	got, err := io.ReadAll(host)
	if !strings.HasPrefix("part", string(got)) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v", got, err)
	}
}
