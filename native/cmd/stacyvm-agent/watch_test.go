package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"testing"

	"connectrpc.com/connect"

	filesystemv1 "stacyvm/native/gen/filesystem"
	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

func TestChangesBelowAWatchedDirectoryAreTold(t *testing.T) {
	a, ctx := start(t), context.Background()
	base := a.dir + "/work"
	created, err := a.fs.CreateWatcher(ctx, connect.NewRequest(&filesystemv1.CreateWatcherRequest{Path: base, Recursive: true, IncludeEntry: true}))
	if err != nil {
		t.Fatal(err)
	}
	id := created.Msg.WatcherId
	_ = os.MkdirAll(base+"/new/deep", 0o755)
	_ = os.WriteFile(base+"/new/deep/file", []byte("x"), 0o644)
	seen := map[string]bool{}
	eventually(t, "the file in the new directory is told", func() bool {
		got, err := a.fs.GetWatcherEvents(ctx, connect.NewRequest(&filesystemv1.GetWatcherEventsRequest{WatcherId: id}))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got.Msg.Events {
			seen[e.Name+" "+e.Type.String()] = true
		}
		return seen["new EVENT_TYPE_CREATE"] && seen["new/deep/file EVENT_TYPE_CREATE"]
	})
	if _, err := a.fs.RemoveWatcher(ctx, connect.NewRequest(&filesystemv1.RemoveWatcherRequest{WatcherId: id})); err != nil {
		t.Error(err)
	}
	_, err = a.fs.GetWatcherEvents(ctx, connect.NewRequest(&filesystemv1.GetWatcherEventsRequest{WatcherId: id}))
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a removed watcher: %v", err)
	}
	stream, err := a.fs.WatchDir(ctx, connect.NewRequest(&filesystemv1.WatchDirRequest{Path: base}))
	if err != nil || !stream.Receive() || stream.Msg().GetStart() == nil {
		t.Fatal(err)
	}
	_ = os.Remove(base + "/new/deep/file")
	_ = os.WriteFile(base+"/direct", nil, 0o644)
	if !stream.Receive() || stream.Msg().GetFilesystem().GetName() != "direct" {
		t.Errorf("streamed %v", stream.Msg())
	}
	_ = stream.Close()
}

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
	conn, err := net.Dial("unix", a.socket)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "GET /dial?"+query+" HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: stacyvm-dial\r\n\r\nearly ")
	head := make([]byte, 0, 256)
	one := make([]byte, 1)
	for len(head) < 4 || string(head[len(head)-4:]) != "\r\n\r\n" {
		if _, err := conn.Read(one); err != nil {
			a.t.Fatal(err)
		}
		head = append(head, one[0])
	}
	if status := string(head[9:12]); status != strconv.Itoa(http.StatusSwitchingProtocols) {
		return status
	}
	_, _ = io.WriteString(conn, "hello")
	_ = conn.(*net.UnixConn).CloseWrite()
	got, _ := io.ReadAll(conn)
	return string(got)
}

func TestShutdownEndsEverything(t *testing.T) {
	a := start(t)
	stream, err := a.guest.Exec(context.Background(), connect.NewRequest(&guestv1.ExecRequest{Argv: []string{"sleep", "3175"}}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	if _, err := a.guest.Shutdown(context.Background(), connect.NewRequest(&guestv1.ShutdownRequest{})); err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("the agent ended with %v", err)
	}
	if r := collect(stream); r.exit.GetExitCode() != 137 {
		t.Errorf("the process ended with %v, %v", r.exit, r.err)
	}
}
