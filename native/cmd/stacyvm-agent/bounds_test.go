package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect"

	filesystemv1 "stacyvm/native/gen/filesystem"
	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

func exhausted(t *testing.T, what string, err error) {
	t.Helper()
	if connect.CodeOf(err) != connect.CodeResourceExhausted || !strings.Contains(err.Error(), strings.Fields(what)[0]) {
		t.Errorf("%s: %v", what, err)
	}
}

func TestEachExecBoundHoldsAndIsNamed(t *testing.T) {
	a := start(t, "--max-processes", "2", "--max-argv-count", "3", "--max-argv-bytes", "40", "--max-env-count", "2",
		"--max-env-bytes", "40", "--max-tag-bytes", "4", "--max-message-bytes", "4096")
	argv := func(args ...string) *guestv1.ExecRequest { return &guestv1.ExecRequest{Argv: append([]string{"true"}, args...)} }
	env := func(pairs map[string]string) *guestv1.ExecRequest { return &guestv1.ExecRequest{Argv: []string{"true"}, Env: pairs} }
	for _, c := range []struct {
		name     string
		at, over *guestv1.ExecRequest
	}{
		{"argv-count", argv("a", "b"), argv("a", "b", "c")},
		{"argv-bytes", argv(strings.Repeat("x", 34)), argv(strings.Repeat("x", 35))},
		{"env-count", env(map[string]string{"A": "", "B": ""}), env(map[string]string{"A": "", "B": "", "C": ""})},
		{"env-bytes", env(map[string]string{"A": strings.Repeat("x", 37)}), env(map[string]string{"A": strings.Repeat("x", 38)})},
		{"tag-bytes", &guestv1.ExecRequest{Argv: []string{"true"}, Tag: "four"}, &guestv1.ExecRequest{Argv: []string{"true"}, Tag: "fives"}},
	} {
		if r := a.exec(c.at); r.err != nil || r.exit.ExitCode != 0 {
			t.Errorf("%s at its bound: %v", c.name, r.err)
		}
		exhausted(t, c.name, a.exec(c.over).err)
	}
	r := a.exec(&guestv1.ExecRequest{Argv: []string{"true"}, Stdin: make([]byte, 4096)})
	if connect.CodeOf(r.err) != connect.CodeResourceExhausted {
		t.Errorf("message-bytes: %v", r.err)
	}
	for range 2 {
		stream, err := a.guest.Exec(context.Background(), connect.NewRequest(&guestv1.ExecRequest{Argv: []string{"sleep", "60"}}))
		if err != nil || !stream.Receive() {
			t.Fatal(err)
		}
		defer func() { _ = stream.Close() }()
	}
	exhausted(t, "processes", a.exec(argv()).err)
}

func TestBadArgumentsAreNamed(t *testing.T) {
	a := start(t)
	for want, request := range map[string]*guestv1.ExecRequest{
		"argv":      {},
		"nowhere":   {Argv: []string{"true"}, Cwd: "/nowhere"},
		"nobody-no": {Argv: []string{"true"}, User: "nobody-no"},
		"env":       {Argv: []string{"true"}, Env: map[string]string{"A=B": "c"}},
		"pty":       {Argv: []string{"true"}, Pty: &guestv1.PtySize{Cols: 0, Rows: 5}},
		"absolute":  {Argv: []string{"true"}, Cwd: "relative"},
	} {
		r := a.exec(request)
		if connect.CodeOf(r.err) != connect.CodeInvalidArgument || !strings.Contains(r.err.Error(), want) {
			t.Errorf("%s: %v", want, r.err)
		}
	}
}

func TestEachFileBoundHoldsAndIsNamed(t *testing.T) {
	a := start(t, "--max-list-entries", "3", "--max-list-depth", "2", "--max-glob-results", "2", "--max-glob-bytes", "200",
		"--max-watchers", "1", "--max-metadata-count", "1", "--max-init-bytes", "64", "--max-dials", "1")
	ctx, base := context.Background(), a.dir+"/work"
	list := func(depth uint32) error {
		_, err := a.fs.ListDir(ctx, connect.NewRequest(&filesystemv1.ListDirRequest{Path: base, Depth: depth}))
		return err
	}
	for i := range 3 {
		_ = os.WriteFile(base+"/"+strconv.Itoa(i), nil, 0o644)
	}
	if err := list(1); err != nil {
		t.Error(err)
	}
	exhausted(t, "list-depth", list(3))
	glob, err := a.guest.Glob(ctx, connect.NewRequest(&guestv1.GlobRequest{Pattern: base + "/*"}))
	if err != nil || len(glob.Msg.Paths) != 2 || !glob.Msg.Truncated {
		t.Errorf("glob-results: %v %v", glob, err)
	}
	_, err = a.guest.Glob(ctx, connect.NewRequest(&guestv1.GlobRequest{Pattern: "/" + strings.Repeat("x", 200)}))
	exhausted(t, "glob-bytes", err)
	_ = os.WriteFile(base+"/3", nil, 0o644)
	exhausted(t, "list-entries", list(1))
	watch := func() error {
		_, err := a.fs.CreateWatcher(ctx, connect.NewRequest(&filesystemv1.CreateWatcherRequest{Path: base}))
		return err
	}
	if err := watch(); err != nil {
		t.Error(err)
	}
	exhausted(t, "watchers", watch())
	if status, _, _ := a.do("POST", base+"/m", strings.NewReader(""), "X-Metadata-A", "1", "X-Metadata-B", "2"); status != 429 {
		t.Errorf("metadata-count: %d", status)
	}
	response, err := a.http.Post("http://agent/init", "application/json", strings.NewReader(`{"defaultUser":"`+strings.Repeat("x", 64)+`"}`))
	if err != nil || response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("init-bytes: %v %v", response, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	port := uint32(listener.Addr().(*net.TCPAddr).Port)
	first, err := a.open(port)
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.open(port)
	exhausted(t, "dials", err)
	_ = first.CloseRequest()
	_ = first.CloseResponse()
}

func (a *agent) open(port uint32) (*connect.BidiStreamForClient[guestv1.DialRequest, guestv1.DialResponse], error) {
	stream := a.guest.Dial(context.Background())
	target := &guestv1.DialTarget{Target: &guestv1.DialTarget_Port{Port: port}}
	if err := stream.Send(&guestv1.DialRequest{Message: &guestv1.DialRequest_Target{Target: target}}); err != nil {
		return nil, err
	}
	_, err := stream.Receive()
	return stream, err
}

func TestStdinBeyondItsQueueIsRefused(t *testing.T) {
	a := start(t, "--max-stdin-bytes", "1000")
	stream, err := a.guest.Exec(context.Background(), connect.NewRequest(&guestv1.ExecRequest{Argv: []string{"sleep", "60"}, StdinOpen: true}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	id := stream.Msg().GetStart().ProcessId
	write := func(n int) error {
		_, err := a.guest.WriteStdin(context.Background(), connect.NewRequest(&guestv1.WriteStdinRequest{ProcessId: id, Data: make([]byte, n)}))
		return err
	}
	if err := write(1000); err != nil {
		t.Error(err)
	}
	exhausted(t, "stdin-bytes", write(1001))
}

func TestEndedProcessesAreForgottenBeyondTheirBound(t *testing.T) {
	a := start(t, "--max-ended-processes", "3")
	var ids []string
	for range 4 {
		ids = append(ids, a.exec(&guestv1.ExecRequest{Argv: []string{"echo", "x"}, Durable: true}).id)
	}
	eventually(t, "the oldest is forgotten", func() bool { return a.find(ids[0]).ProcessId == "" })
	if a.find(ids[1]).ProcessId == "" || a.find(ids[3]).NextOffset != 2 {
		t.Error("too much is forgotten")
	}
}

func TestASlowFollowerGetsAGapAndNeverStallsTheProcess(t *testing.T) {
	a := start(t, "--max-ring-bytes", "131072")
	r := a.exec(&guestv1.ExecRequest{Argv: []string{"head", "-c", "1000000", "/dev/zero"}, Durable: true})
	stream, err := a.guest.Attach(context.Background(), connect.NewRequest(&guestv1.AttachRequest{ProcessId: r.id}))
	if err != nil {
		t.Fatal(err)
	}
	replay := collect(stream)
	if replay.gaps != 1 || replay.bytes == 0 || replay.bytes > 131072 || !replay.live || replay.exit == nil {
		t.Errorf("%d gaps, %d bytes, %v, %v", replay.gaps, replay.bytes, replay.live, replay.err)
	}
}
