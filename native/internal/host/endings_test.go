package host

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// started is a process of this test that reads the pipe, reaped when it ends.
func started(t *testing.T, name string, args ...string) (runtimeRecord, *os.Process, io.Closer) {
	t.Helper()
	command := exec.Command(name, args...)
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-ended
	})
	ticks, _, err := startTicks(command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return runtimeRecord{Pid: command.Process.Pid, StartTicks: ticks, BootID: bootID()}, command.Process, input
}

// tellsEnds says whether the kernel is one that tells how a process ended: 6.15 or later.
func tellsEnds(t *testing.T) bool {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return major > 6 || major == 6 && minor >= 15
}

func TestTheEndOfAFirstProcessIsToldAtOnceAndHow(t *testing.T) {
	for name, ending := range map[string]struct {
		argv  []string
		kill  bool
		cause string
	}{
		"a signal": {[]string{"cat"}, true, "killed by SIGKILL"},
		"an exit":  {[]string{"sh", "-c", "read wait; exit 3"}, false, "exit code 3"},
	} {
		t.Run(name, func(t *testing.T) {
			var e endings
			told := make(chan string, 1)
			e.tell(func(id string) { told <- id })
			record, process, input := started(t, ending.argv[0], ending.argv[1:]...)
			e.watch("sb-1", record)
			e.watch("sb-1", record) // as each list does
			if ending.kill {
				_ = process.Kill()
			}
			_ = input.Close()
			select {
			case id := <-told:
				if id != "sb-1" {
					t.Errorf("told of %q", id)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("nothing is told")
			}
			if cause := e.cause("sb-1", record); cause != ending.cause && tellsEnds(t) {
				t.Errorf("cause %q", cause)
			}
			if cause := e.cause("sb-1", runtimeRecord{Pid: 1}); cause != "" {
				t.Errorf("another process ended by %q", cause)
			}
		})
	}
}

func TestWhatTheKernelKilledForMemoryIsPartOfHowItEnded(t *testing.T) {
	group := t.TempDir()
	h := &Host{cgroups: cgroups{unified: group}}
	if told := h.endedBy("sb-1", runtimeRecord{}); told != "" {
		t.Errorf("of a sandbox without a group: %q", told)
	}
	directory := filepath.Join(group, "stacyvm-sb-1")
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "memory.events"), []byte("low 0\noom 2\noom_kill 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if told := h.endedBy("sb-1", runtimeRecord{}); told != "the kernel killed 2 of its processes for want of memory" {
		t.Errorf("told %q", told)
	}
	h.endings.watched = map[string]*ending{"sb-1": {cause: "killed by SIGKILL"}}
	if told := h.endedBy("sb-1", runtimeRecord{}); told != "killed by SIGKILL; the kernel killed 2 of its processes for want of memory" {
		t.Errorf("told %q", told)
	}
}

func TestAWantedEndIsNotTold(t *testing.T) {
	var e endings
	told := make(chan string, 2)
	e.tell(func(id string) { told <- id })
	wanted, process, _ := started(t, "cat")
	e.watch("sb-1", wanted)
	e.forget("sb-1")
	_ = process.Kill()
	other, process, _ := started(t, "cat")
	e.watch("sb-2", other)
	_ = process.Kill()
	select {
	case id := <-told:
		if id != "sb-2" {
			t.Errorf("told of %q", id)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is told")
	}
}

func TestARecordThatIsAPipeIsNotWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "owner.json")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() { read <- readRecord(path, &ownerRecord{}) }()
	select {
	case err := <-read:
		if err == nil {
			t.Error("a pipe is taken for a record")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the record is waited for")
	}
}
