package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect"

	filesystemv1 "stacyvm/native/gen/filesystem"
	processv1 "stacyvm/native/gen/process"
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
	argv := func(args ...string) *guestv1.ExecRequest {
		return &guestv1.ExecRequest{Argv: append([]string{"true"}, args...)}
	}
	env := func(pairs map[string]string) *guestv1.ExecRequest {
		return &guestv1.ExecRequest{Argv: []string{"true"}, Env: pairs}
	}
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
		"--max-watchers", "1", "--max-metadata-count", "1", "--max-metadata-bytes", "9",
		"--max-init-bytes", "64", "--max-dials", "1")
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
	if status, _, body := a.do("POST", base+"/m", strings.NewReader(""), "X-Metadata-A", "12345678"); status != 200 {
		t.Errorf("metadata-bytes at its bound: %d %s", status, body)
	}
	if status, _, body := a.do("POST", base+"/m", strings.NewReader(""), "X-Metadata-A", "123456789"); status != 429 || !strings.Contains(string(body), "metadata-bytes") {
		t.Errorf("metadata-bytes: %d %s", status, body)
	}
	for padding, want := range map[int]int{64: http.StatusNoContent, 65: http.StatusRequestEntityTooLarge} {
		text := `{"envVars":{}` + strings.Repeat(" ", padding-14) + `}`
		response, err := a.http.Post("http://agent/init", "application/json", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != want || want != http.StatusNoContent && !strings.Contains(string(body), "init-bytes") {
			t.Errorf("init-bytes with %d: %d %s", padding, response.StatusCode, body)
		}
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

func TestOneArgumentAndOneVariableMayBeWhatTheKernelTakes(t *testing.T) {
	a := start(t)
	const kernelBytes = 128 << 10 // the closing NUL included
	for over, requests := range map[int][]*guestv1.ExecRequest{
		0: {
			{Argv: []string{"true", strings.Repeat("x", kernelBytes-1)}},
			{Argv: []string{"true"}, Env: map[string]string{"A": strings.Repeat("x", kernelBytes-len("A=")-1)}},
		},
		1: {
			{Argv: []string{"true", strings.Repeat("x", kernelBytes)}},
			{Argv: []string{"true"}, Env: map[string]string{"A": strings.Repeat("x", kernelBytes-len("A="))}},
		},
	} {
		for _, request := range requests {
			r := a.exec(request)
			if over == 0 && r.exit.GetExitCode() != 0 || over == 0 && r.exit == nil {
				t.Errorf("at the bound: %v %v", r.exit, r.err)
			}
			if over == 1 && (connect.CodeOf(r.err) != connect.CodeInvalidArgument || !strings.Contains(r.err.Error(), "exceeds")) {
				t.Errorf("one byte more: %v", r.err)
			}
		}
	}
}

func TestHeadersHoldTheirBoundOnEachProtocol(t *testing.T) {
	a := start(t, "--max-header-bytes", "2000")
	// As Go's client writes it, the blank line included.
	const request = "GET /health HTTP/1.1\r\nHost: agent\r\nUser-Agent: a\r\nX-Fill: %s\r\n\r\n"
	room := 2000 - len(request) + len("%s")
	for size, want := range map[int]int{room: http.StatusNoContent, room + 1: http.StatusRequestHeaderFieldsTooLarge, 100_000: http.StatusRequestHeaderFieldsTooLarge} {
		conn, err := a.dial(context.Background(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, strings.Replace(request, "%s", strings.Repeat("x", size), 1))
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = conn.Close()
		if response.StatusCode != want || size == room+1 && !strings.Contains(string(body), "header-bytes") {
			t.Errorf("%d of %d: %d %s", size, room, response.StatusCode, body)
		}
	}
	call := func(size int) error {
		request := connect.NewRequest(&guestv1.InfoRequest{})
		request.Header().Set("X-Fill", strings.Repeat("x", size))
		_, err := a.guest.Info(context.Background(), request)
		return err
	}
	if err := call(1000); err != nil {
		t.Error(err)
	}
	exhausted(t, "header-bytes", call(2500))
}

func TestOneReaderTooManyIsRefused(t *testing.T) {
	a, ctx := start(t, "--max-readers", "2"), context.Background()
	// Its own stream is the first reader.
	stream, err := a.guest.Exec(ctx, connect.NewRequest(&guestv1.ExecRequest{Argv: []string{"sleep", "60"}, Tag: "read"}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	attach := func() (*connect.ServerStreamForClient[guestv1.ExecEvent], error) {
		s, err := a.guest.Attach(ctx, connect.NewRequest(&guestv1.AttachRequest{ProcessId: stream.Msg().GetStart().ProcessId, Follow: true}))
		if err == nil && !s.Receive() {
			err = s.Err()
		}
		return s, err
	}
	second, err := attach()
	if err != nil {
		t.Fatal(err)
	}
	_, err = attach()
	exhausted(t, "readers", err)
	connected, err := a.proc.Connect(ctx, connect.NewRequest(&processv1.ConnectRequest{Process: tagged("read")}))
	if err == nil {
		connected.Receive()
		err = connected.Err()
	}
	exhausted(t, "readers", err)
	_ = second.Close()
	eventually(t, "a reader that left makes room", func() bool { _, err := attach(); return err == nil })
}

func TestOutputOfEndedProcessesIsForgottenBeyondTheirBound(t *testing.T) {
	// One segment of output costs its bytes and 64 more.
	const kept = 1000 + 64
	for bound, forgotten := range map[int]bool{2 * kept: false, 2*kept - 1: true} {
		a := start(t, "--max-ended-bytes", strconv.Itoa(bound))
		var ids []string
		for range 2 {
			ids = append(ids, a.exec(&guestv1.ExecRequest{Argv: []string{"head", "-c", "1000", "/dev/zero"}, Durable: true}).id)
		}
		if forgotten {
			eventually(t, "the older output goes", func() bool { return a.find(ids[0]).FirstOffset == 1000 })
		}
		first, last := a.find(ids[0]), a.find(ids[1])
		if first.NextOffset != 1000 || (first.FirstOffset == 1000) != forgotten {
			t.Errorf("with %d the older keeps from %d to %d", bound, first.FirstOffset, first.NextOffset)
		}
		if last.FirstOffset != 0 || last.NextOffset != 1000 {
			t.Errorf("with %d the newer keeps from %d to %d", bound, last.FirstOffset, last.NextOffset)
		}
	}
}
