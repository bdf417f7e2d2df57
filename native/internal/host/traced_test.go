package host

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestWhatPRootHadNotBegunToTraceEndsWithIt(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("no sleep")
	}
	if sleep, err = filepath.EvalSymlinks(sleep); err != nil {
		t.Fatal(err)
	}
	h, err := New(Options{DataRoot: filepath.Join(t.TempDir(), "data"), PRootPath: sleep})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(h.root.tree("sb-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	leader := exec.Command("/bin/sh", "-c", sleep+" 1000 & echo $!; exec cat")
	leader.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	input, err := leader.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = leader.Wait() }()
	ticks, _, err := startTicks(leader.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	record := runtimeRecord{Pid: leader.Process.Pid, StartTicks: ticks, BootID: bootID()}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if !eventually(ctx, func() bool { return len(h.untraced(record)) == 1 }) {
		t.Fatal("the child is not seen")
	}
	if err := h.killTraced(ctx, "sb-1", record); err != nil {
		t.Fatal(err)
	}
	if left := h.untraced(record); len(left) != 0 {
		t.Errorf("still there: %v", left)
	}
	record.StartTicks++
	if found := h.untraced(record); len(found) != 0 {
		t.Errorf("taken from another session: %v", found)
	}
}
