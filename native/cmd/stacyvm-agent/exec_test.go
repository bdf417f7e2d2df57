package main

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

func TestExecTellsTheTrueEnd(t *testing.T) {
	a := start(t)
	for _, c := range []struct {
		argv        []string
		code        int32
		signal      int32
		out, errOut string
	}{
		{[]string{"true"}, 0, 0, "", ""},
		{[]string{"sh", "-c", "echo out; echo err >&2; exit 3"}, 3, 0, "out\n", "err\n"},
		{[]string{"sh", "-c", "kill -TERM $$"}, 143, 15, "", ""},
		{[]string{"no-such-command"}, 127, 0, "", "no-such-command: command not found\n"},
		{[]string{"/etc/passwd"}, 126, 0, "", "/etc/passwd: permission denied\n"},
		{[]string{"printf", "%s|", "a b", "-n", "$(id)", "\n'\""}, 0, 0, "a b|-n|$(id)|\n'\"|", ""},
	} {
		r := a.exec(&guestv1.ExecRequest{Argv: c.argv})
		if r.err != nil || r.exit == nil {
			t.Fatalf("%q: %v", c.argv, r.err)
		}
		if r.exit.ExitCode != c.code || r.exit.Signal != c.signal || string(r.stdout) != c.out || string(r.stderr) != c.errOut {
			t.Errorf("%q: got %v, %q, %q", c.argv, r.exit, r.stdout, r.stderr)
		}
	}
}

func TestAProcessSeesNothingOfTheAgent(t *testing.T) {
	a := start(t)
	r := a.sh("env; ls -l /proc/self/fd | wc -l; pwd; cat /proc/self/oom_score_adj")
	if strings.Contains(string(r.stdout), "SECRET") || strings.Contains(string(r.stdout), asAgent) {
		t.Errorf("the agent's environment is visible: %s", r.stdout)
	}
	// The header line, 0 to 2, and the directory that ls itself reads.
	if !strings.Contains(string(r.stdout), "\n5\n"+a.dir+"/work\n") {
		t.Errorf("descriptors or directory are wrong: %s", r.stdout)
	}
}

func TestOutputBeforeTheExitIsNeverLost(t *testing.T) {
	a := start(t)
	want := bytes.Repeat([]byte("0123456789abcde\n"), 1<<19)
	r := a.sh("yes 0123456789abcde | head -n 524288")
	if !bytes.Equal(r.stdout, want) || r.gaps > 0 || r.exit.OutputBytes != uint64(len(want)) {
		t.Fatalf("got %d bytes, %d gaps, %v", len(r.stdout), r.gaps, r.exit)
	}
	for range 30 {
		if r := a.sh("head -c 100000 /dev/zero; exec sh -c 'echo end >&2'"); len(r.stdout) != 100000 || string(r.stderr) != "end\n" {
			t.Fatalf("got %d bytes and %q", len(r.stdout), r.stderr)
		}
	}
}

func TestOutputBeyondTheCapIsCountedAndDropped(t *testing.T) {
	a := start(t)
	r := a.exec(&guestv1.ExecRequest{Argv: []string{"sh", "-c", "head -c 100000 /dev/zero; echo more >&2"}, MaxOutputBytes: 1000})
	if r.bytes != 1000 || !r.exit.Truncated || r.exit.OutputBytes != 100005 {
		t.Fatalf("got %d bytes, %v", r.bytes, r.exit)
	}
	r = a.exec(&guestv1.ExecRequest{Argv: []string{"head", "-c", "1000", "/dev/zero"}, MaxOutputBytes: 1000})
	if r.bytes != 1000 || r.exit.Truncated {
		t.Fatalf("got %d bytes, %v", r.bytes, r.exit)
	}
}

func TestADeadlineEndsTheWholeTreeAndKeepsTheOutput(t *testing.T) {
	a := start(t)
	for name, script := range map[string]string{
		"child":               "echo partial; sleep 3171",
		"setsid holding pipe": "echo partial; setsid sleep 3171 & sleep 3171",
		"double fork":         "echo partial; (setsid sleep 3171 &) ; sleep 3171",
		"ignores TERM":        "trap '' TERM INT HUP; echo partial; while :; do sleep 3171; done",
	} {
		begun := time.Now()
		r := a.exec(&guestv1.ExecRequest{Argv: []string{"sh", "-c", script}, TimeoutMs: 200})
		took := time.Since(begun)
		if r.err != nil || r.exit == nil || !r.exit.TimedOut || r.exit.ExitCode != 137 || string(r.stdout) != "partial\n" {
			t.Errorf("%s: %v %v %q", name, r.err, r.exit, r.stdout)
		}
		if took > 200*time.Millisecond+300*time.Millisecond*slowdown {
			t.Errorf("%s: took %v", name, took)
		}
	}
	eventually(t, "nothing of the trees lives", func() bool {
		return a.sh("pgrep -P "+strconv.Itoa(a.cmd.Process.Pid)+" -xf 'sleep 3171'").exit.ExitCode != 0
	})
}

func TestABackgroundChildLivesOn(t *testing.T) {
	a := start(t)
	r := a.sh("echo now; (while ! test -e go; do sleep 0.02; done; echo later) & exit 4")
	if r.exit.ExitCode != 4 || !r.exit.Background || string(r.stdout) != "now\n" {
		t.Fatalf("got %v %q", r.exit, r.stdout)
	}
	if p := a.find(r.id); p.State != guestv1.ProcessState_PROCESS_STATE_BACKGROUND || p.Processes == 0 {
		t.Errorf("listed as %v", p)
	}
	if err := os.WriteFile(a.dir+"/work/go", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child ends and the process with it", func() bool {
		return a.find(r.id).State == guestv1.ProcessState_PROCESS_STATE_EXITED
	})
	stream, err := a.guest.Attach(context.Background(), connect.NewRequest(&guestv1.AttachRequest{ProcessId: r.id, Follow: true}))
	if err != nil {
		t.Fatal(err)
	}
	replay := collect(stream)
	if string(replay.stdout) != "now\nlater\n" || replay.exit.ExitCode != 4 || !replay.live {
		t.Errorf("replayed %q, %v", replay.stdout, replay.exit)
	}
}

func TestACancelledStreamEndsTheTreeUnlessDurable(t *testing.T) {
	a := start(t)
	for _, durable := range []bool{false, true} {
		ctx, cancel := context.WithCancel(context.Background())
		stream, err := a.guest.Exec(ctx, connect.NewRequest(&guestv1.ExecRequest{
			Argv: []string{"sh", "-c", "setsid sleep 3172 & sleep 3172"}, Durable: durable,
		}))
		if err != nil {
			t.Fatal(err)
		}
		stream.Receive()
		id := stream.Msg().GetStart().GetProcessId()
		cancel()
		if durable {
			if p := a.find(id); p.State != guestv1.ProcessState_PROCESS_STATE_RUNNING {
				t.Errorf("a durable process is %v", p.State)
			}
			if _, err := a.guest.SignalProcess(context.Background(), connect.NewRequest(&guestv1.SignalProcessRequest{ProcessId: id, Signal: 9, Tree: true})); err != nil {
				t.Error(err)
			}
		}
		eventually(t, "the process ends", func() bool { return a.find(id).State == guestv1.ProcessState_PROCESS_STATE_EXITED })
	}
}

func TestStdinIsWrittenAndClosed(t *testing.T) {
	a := start(t)
	big := bytes.Repeat([]byte("x"), 3<<20)
	if r := a.exec(&guestv1.ExecRequest{Argv: []string{"cat"}, Stdin: big}); !bytes.Equal(r.stdout, big) {
		t.Errorf("got %d bytes back", len(r.stdout))
	}
	if r := a.exec(&guestv1.ExecRequest{Argv: []string{"true"}, Stdin: big}); r.exit.ExitCode != 0 {
		t.Errorf("unread stdin: %v", r.exit)
	}
	if r := a.exec(&guestv1.ExecRequest{Argv: []string{"cat"}}); r.exit.ExitCode != 0 || r.bytes != 0 {
		t.Errorf("no stdin: %v", r.exit)
	}
}

func TestAPtyIsATerminal(t *testing.T) {
	a := start(t)
	r := a.exec(&guestv1.ExecRequest{
		Argv: []string{"sh", "-c", "stty size; tty; echo $TERM; read line; echo got $line"}, Pty: &guestv1.PtySize{Cols: 91, Rows: 17}, Stdin: []byte("typed\n"),
	})
	for _, want := range []string{"17 91\r\n", "/dev/pts/", "xterm-256color", "got typed\r\n"} {
		if !strings.Contains(string(r.pty), want) {
			t.Errorf("%q is missing in %q", want, r.pty)
		}
	}
	if r.exit == nil || r.exit.ExitCode != 0 {
		t.Errorf("%v %v", r.exit, r.err)
	}
}

func (a *agent) find(id string) *guestv1.ProcessDetail {
	list, err := a.guest.ListProcesses(context.Background(), connect.NewRequest(&guestv1.ListProcessesRequest{}))
	if err != nil {
		a.t.Fatal(err)
	}
	for _, p := range list.Msg.Processes {
		if p.ProcessId == id {
			return p
		}
	}
	return &guestv1.ProcessDetail{}
}
