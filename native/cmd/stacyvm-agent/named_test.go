package main

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
	"stacyvm/native/internal/bound"
)

func (a *agent) startNamed(id string, request *guestv1.ExecRequest) (*guestv1.ProcessDetail, error) {
	answer, err := a.guest.StartProcess(context.Background(), connect.NewRequest(&guestv1.StartProcessRequest{ProcessId: id, Process: request}))
	if err != nil {
		return nil, err
	}
	return answer.Msg.Process, nil
}

func (a *agent) wait(id string, ms uint32) *guestv1.ProcessDetail {
	a.t.Helper()
	answer, err := a.guest.WaitProcess(context.Background(), connect.NewRequest(&guestv1.WaitProcessRequest{ProcessId: id, WaitMs: ms}))
	if err != nil {
		a.t.Fatal(err)
	}
	return answer.Msg.Process
}

func (a *agent) attach(id string, follow bool) *connect.ServerStreamForClient[guestv1.ExecEvent] {
	a.t.Helper()
	stream, err := a.guest.Attach(context.Background(), connect.NewRequest(&guestv1.AttachRequest{ProcessId: id, Follow: follow}))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = stream.Close() })
	return stream
}

func sh(script string) *guestv1.ExecRequest {
	return &guestv1.ExecRequest{Argv: []string{"sh", "-c", script}}
}

func TestANamedProcessLivesWithoutAFollowerAndKeepsItsName(t *testing.T) {
	a := start(t)
	started, err := a.startNamed("pr-1", sh("echo out; sleep 3175 & wait"))
	if err != nil || started.ProcessId != "pr-1" || started.State != guestv1.ProcessState_PROCESS_STATE_RUNNING {
		t.Fatalf("got %v, %v", started, err)
	}
	_, err = a.startNamed("pr-1", sh("true"))
	if connect.CodeOf(err) != connect.CodeAlreadyExists {
		t.Errorf("a name was given twice: %v", err)
	}
	names := func() map[string]bool {
		answer, err := a.guest.GetProcess(context.Background(), connect.NewRequest(&guestv1.GetProcessRequest{ProcessId: "pr-1"}))
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, member := range answer.Msg.Members {
			found[member.Name] = member.MemoryBytes > 0
		}
		return found
	}
	eventually(t, "both members are told", func() bool { return names()["sh"] && names()["sleep"] })
	if p := a.wait("pr-1", 0); p.Exit != nil {
		t.Errorf("a wait of nothing says %v", p.Exit)
	}
	if _, err := a.guest.SignalProcess(context.Background(), connect.NewRequest(&guestv1.SignalProcessRequest{ProcessId: "pr-1", Signal: 15, Tree: true})); err != nil {
		t.Fatal(err)
	}
	if p := a.wait("pr-1", 30_000); p.Exit.GetSignal() != 15 {
		t.Errorf("ended with %v", p.Exit)
	}
	if r := collect(a.attach("pr-1", false)); string(r.stdout) != "out\n" || !r.live || r.exit.GetExitCode() != 143 {
		t.Errorf("replayed %q, live %v, exit %v", r.stdout, r.live, r.exit)
	}
}

func TestANameOutsideItsFormIsRefused(t *testing.T) {
	a := start(t)
	long := make([]byte, 65)
	for i := range long {
		long[i] = 'x'
	}
	for _, id := range []string{"", "a b", "a/b", "é", string(long)} {
		if _, err := a.startNamed(id, sh("true")); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := a.startNamed(string(long[:64]), sh("true")); err != nil {
		t.Error(err)
	}
	// What could not be started leaves its name free.
	if _, err := a.startNamed("free", &guestv1.ExecRequest{Argv: []string{"true"}, Cwd: "/no/such/place"}); err == nil {
		t.Error("started nowhere")
	}
	if _, err := a.startNamed("free", sh("true")); err != nil {
		t.Error(err)
	}
}

func TestCommandsDoNotPushOutANamedProcess(t *testing.T) {
	a := start(t, "--max-ended-processes", "2")
	for _, id := range []string{"one", "two", "three"} {
		if _, err := a.startNamed(id, sh("echo "+id)); err != nil {
			t.Fatal(err)
		}
		a.wait(id, 30_000)
	}
	for range 5 {
		a.sh("echo passing")
	}
	eventually(t, "the oldest named one is forgotten", func() bool { return a.find("one").ProcessId == "" })
	if r := collect(a.attach("two", false)); string(r.stdout) != "two\n" {
		t.Errorf("replayed %q", r.stdout)
	}
}

func TestAListShowsTheBeginningOfLongCommandLines(t *testing.T) {
	a := start(t)
	argv := []string{"sleep", "3177"}
	for range 8 {
		argv = append(argv, strings.Repeat("x", 120_000))
	}
	// The shell's own parameters, so that the command line is long and the command runs.
	request := &guestv1.ExecRequest{Argv: append([]string{"sh", "-c", "exec sleep 3177"}, argv...)}
	for i := range 10 {
		if _, err := a.startNamed("pr-"+strconv.Itoa(i), request); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := a.guest.ListProcesses(context.Background(), connect.NewRequest(&guestv1.ListProcessesRequest{}))
	if err != nil || len(answer.Msg.Processes) != 10 || proto.Size(answer.Msg) > 10*(bound.ArgvShownBytes+200) {
		t.Errorf("a list of %d bytes, %v", proto.Size(answer.Msg), err)
	}
	if kept := a.find("pr-9").Argv; len(kept[2]) != len("exec sleep 3177") || kept[4] != "3177" {
		t.Errorf("shows %d arguments", len(kept))
	}
	whole := func() int { return len(a.wait("pr-0", 0).Argv) }
	if whole() != len(request.Argv) {
		t.Errorf("a living process shows %d arguments", whole())
	}
	if _, err := a.guest.SignalProcess(context.Background(), connect.NewRequest(&guestv1.SignalProcessRequest{ProcessId: "pr-0", Signal: 9})); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an ended process keeps the beginning", func() bool { return whole() == 6 })
}

func TestTheExitStandsWhereItHappenedAndFollowingGoesOn(t *testing.T) {
	a := start(t)
	if _, err := a.startNamed("pr-1", sh("echo now; (while ! test -e go; do sleep 0.02; done; echo later) & exit 4")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if p := a.wait("pr-1", 20_000); p.State != guestv1.ProcessState_PROCESS_STATE_BACKGROUND || time.Since(began) > 10*time.Second {
		t.Errorf("the leader's exit was told as %v after %v", p.State, time.Since(began))
	}
	inOrder := func() (seen string) {
		stream := a.attach("pr-1", true)
		for stream.Receive() {
			switch e := stream.Msg().Event.(type) {
			case *guestv1.ExecEvent_Data_:
				seen += string(e.Data.Data)
			case *guestv1.ExecEvent_Exit_:
				if seen += "exit\n"; !e.Exit.Background || e.Exit.ExitCode != 4 {
					t.Errorf("exit %v", e.Exit)
				}
				if err := os.WriteFile(a.dir+"/work/go", nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		if stream.Err() != nil {
			t.Error(stream.Err())
		}
		return seen
	}
	for _, when := range []string{"live", "replayed"} {
		if seen := inOrder(); seen != "now\nexit\nlater\n" {
			t.Errorf("%s: saw %q", when, seen)
		}
	}
}

func TestInputThatFindsNoRoomInTimeIsRefusedAsAWhole(t *testing.T) {
	a := start(t, "--max-stdin-bytes", "1000")
	if _, err := a.startNamed("pr-1", &guestv1.ExecRequest{Argv: []string{"sleep", "3176"}, StdinOpen: true}); err != nil {
		t.Fatal(err)
	}
	write := func(n int, ms uint32) error {
		_, err := a.guest.WriteStdin(context.Background(), connect.NewRequest(&guestv1.WriteStdinRequest{ProcessId: "pr-1", Data: make([]byte, n), WaitMs: ms}))
		return err
	}
	// The pipe takes what it holds; then the queue fills.
	var refused error
	for range 200 {
		if refused = write(1000, 20); refused != nil {
			break
		}
	}
	exhausted(t, "stdin", refused)
}
