package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	"stacyvm/native/gen/filesystem/filesystemv1connect"
	"stacyvm/native/gen/process/processv1connect"
	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
	"stacyvm/native/gen/stacyvm/guest/v1/guestv1connect"
	"stacyvm/native/internal/tree"
)

// asAgent makes the test binary be the agent, so that the race detector sees it.
const asAgent = "STACYVM_TEST_AS_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) != "" {
		os.Args = append([]string{"stacyvm-agent"}, os.Args[1:]...)
		main()
		return
	}
	os.Exit(m.Run())
}

type agent struct {
	t      testing.TB
	dir    string
	socket string
	cmd    *exec.Cmd
	http   *http.Client
	guest  guestv1connect.GuestClient
	proc   processv1connect.ProcessClient
	fs     filesystemv1connect.FilesystemClient
}

func start(t testing.TB, flags ...string) *agent {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	a := &agent{t: t, dir: dir, socket: filepath.Join(dir, "agent.sock")}
	work := filepath.Join(dir, "work")
	args := append([]string{"serve", "--listen-unix", a.socket, "--workdir", work}, flags...)
	a.cmd = exec.Command(os.Args[0], args...)
	a.run()
	return a
}

func (a *agent) run() {
	a.t.Helper()
	a.cmd.Env = append(os.Environ(), asAgent+"=1", "AGENT_SECRET=never seen inside")
	a.cmd.Stderr = os.Stderr
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		_ = a.cmd.Process.Kill()
		_ = a.cmd.Wait()
		a.killStarted()
	})
	a.connect()
}

// killStarted ends what the agent had started: here no namespace ends with it.
func (a *agent) killStarted() {
	for _, process := range tree.All() {
		directory, err := os.Readlink("/proc/" + strconv.Itoa(process.PID) + "/cwd")
		if err == nil && strings.HasPrefix(directory, a.dir+"/") {
			_ = syscall.Kill(process.PID, syscall.SIGKILL)
		}
	}
}

func (a *agent) connect() {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	h2 := &http.Client{Transport: &http.Transport{Protocols: protocols, DialContext: a.dial}}
	a.http = &http.Client{Transport: &http.Transport{DialContext: a.dial, DisableCompression: true}}
	a.t.Cleanup(h2.CloseIdleConnections)
	a.t.Cleanup(a.http.CloseIdleConnections)
	a.guest = guestv1connect.NewGuestClient(h2, "http://agent")
	a.proc = processv1connect.NewProcessClient(h2, "http://agent")
	a.fs = filesystemv1connect.NewFilesystemClient(h2, "http://agent")
	eventually(a.t, "the agent answers", func() bool {
		response, err := a.http.Get("http://agent/health")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusNoContent
	})
}

func (a *agent) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", a.socket)
}

// result is what an exec brought, each stream joined.
type result struct {
	id             string
	stdout, stderr []byte
	pty            []byte
	bytes          uint64
	gaps           int
	live           bool
	exit           *guestv1.ExecEvent_Exit
	err            error
}

func (a *agent) exec(request *guestv1.ExecRequest) result {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	stream, err := a.guest.Exec(ctx, connect.NewRequest(request))
	if err != nil {
		return result{err: err}
	}
	defer func() { _ = stream.Close() }()
	return collect(stream)
}

func (a *agent) sh(script string) result {
	return a.exec(&guestv1.ExecRequest{Argv: []string{"sh", "-c", script}})
}

func collect(stream *connect.ServerStreamForClient[guestv1.ExecEvent]) result {
	var r result
	for stream.Receive() {
		switch e := stream.Msg().Event.(type) {
		case *guestv1.ExecEvent_Start_:
			r.id = e.Start.ProcessId
		case *guestv1.ExecEvent_Data_:
			r.bytes += uint64(len(e.Data.Data))
			switch e.Data.Stream {
			case guestv1.Stream_STREAM_STDOUT:
				r.stdout = append(r.stdout, e.Data.Data...)
			case guestv1.Stream_STREAM_STDERR:
				r.stderr = append(r.stderr, e.Data.Data...)
			case guestv1.Stream_STREAM_PTY:
				r.pty = append(r.pty, e.Data.Data...)
			}
		case *guestv1.ExecEvent_Gap_:
			r.gaps++
		case *guestv1.ExecEvent_Live_:
			r.live = true
		case *guestv1.ExecEvent_Exit_:
			r.exit = e.Exit
		}
	}
	r.err = stream.Err()
	return r
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}
