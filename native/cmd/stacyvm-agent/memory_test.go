package main

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"connectrpc.com/connect"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

// memoryCgroup is a group with a limit of its own, under either version.
type memoryCgroup struct {
	dir    string
	events string
}

func newMemoryCgroup(t *testing.T, limitBytes int) memoryCgroup {
	t.Helper()
	for _, c := range []struct{ root, limit, swap, events string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control"},
		{"/sys/fs/cgroup", "memory.max", "memory.swap.max", "memory.events"},
	} {
		dir := filepath.Join(c.root, "stacyvm-test-"+rand.Text())
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { eventually(t, "the memory cgroup goes", func() bool { return os.Remove(dir) == nil }) })
		if os.WriteFile(dir+"/"+c.limit, []byte(strconv.Itoa(limitBytes)), 0) != nil {
			continue
		}
		swap := map[bool]string{true: strconv.Itoa(limitBytes), false: "0"}[strings.Contains(c.swap, "memsw")]
		// Absent where the kernel doesn't account swap.
		_ = os.WriteFile(dir+"/"+c.swap, []byte(swap), 0)
		return memoryCgroup{dir, dir + "/" + c.events}
	}
	t.Skip("no memory cgroup can be made on this host")
	return memoryCgroup{}
}

// kills is how many processes the kernel has ended in the group for want of memory.
func (m memoryCgroup) kills(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(m.events)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			count, _ := strconv.Atoi(n)
			return count
		}
	}
	t.Skip("this kernel does not count its kills")
	return 0
}

func startWithMemory(t *testing.T, limitBytes int, withTrees bool) (*agent, memoryCgroup) {
	t.Helper()
	dir, memory := t.TempDir(), newMemoryCgroup(t, limitBytes)
	a := &agent{t: t, dir: dir, socket: filepath.Join(dir, "agent.sock")}
	args := []string{"serve", "--listen-unix", a.socket, "--workdir", dir}
	a.cmd = exec.Command(build(t), args...)
	if withTrees {
		a.cmd.Args = append(a.cmd.Args, "--cgroup-fd", "3")
		a.cmd.ExtraFiles = []*os.File{ownCgroup(t, true)}
	}
	a.run()
	if err := os.WriteFile(memory.dir+"/cgroup.procs", []byte(strconv.Itoa(a.cmd.Process.Pid)), 0); err != nil {
		t.Fatal(err)
	}
	return a, memory
}

func (a *agent) mustLive(t *testing.T) {
	t.Helper()
	if r := a.sh("echo on"); r.err != nil || string(r.stdout) != "on\n" {
		t.Errorf("the next exec: %v %q", r.err, r.stdout)
	}
	if err := a.cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the agent: %v", err)
	}
}

func TestAnExecKilledForWantOfMemoryEndsWith137AndTheNextOneWorks(t *testing.T) {
	for _, withTrees := range []bool{false, true} {
		a, memory := startWithMemory(t, 64<<20, withTrees)
		for i := range 3 {
			r := a.exec(&guestv1.ExecRequest{Argv: []string{"dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"}})
			if r.err != nil || r.exit.GetExitCode() != 137 || r.exit.GetSignal() != 9 || r.exit.GetTimedOut() {
				t.Errorf("%v %v %s", r.err, r.exit, r.stderr)
			}
			if kills := memory.kills(t); kills != i+1 {
				t.Errorf("%d were killed", kills)
			}
			a.mustLive(t)
		}
	}
}

// The agent is the largest process of the group: by size alone it would be the kernel's choice.
func TestTheAgentOutlivesManySmallProcessesThatUseUpTheMemory(t *testing.T) {
	a, memory := startWithMemory(t, 32<<20, true)
	const many = `exec 3<&0; for i in $(seq 30); do sh -c 'x=$(head -c 1000000 /dev/zero | tr "\0" x); read x' <&3 & done; wait`
	stream, err := a.guest.Exec(context.Background(), connect.NewRequest(&guestv1.ExecRequest{Argv: []string{"sh", "-c", many}, StdinOpen: true}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	id := stream.Msg().GetStart().ProcessId
	eventually(t, "the kernel kills for want of memory", func() bool { return memory.kills(t) > 1 })
	a.mustLive(t)
	_ = stream.Close()
	eventually(t, "the tree ends", func() bool { return a.find(id).State == guestv1.ProcessState_PROCESS_STATE_EXITED })
}

// proportionalBytes is what the agent takes, shared pages divided among those who share them.
func (a *agent) proportionalBytes() int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(a.cmd.Process.Pid) + "/smaps_rollup")
	if err != nil {
		a.t.Skip("this kernel does not tell a process's share of memory: ", err)
	}
	_, rest, _ := strings.Cut(string(text), "\nPss:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		a.t.Fatal(err)
	}
	return kilobytes << 10
}

func TestAnAgentThatHasNothingToDoTakesLittleMemory(t *testing.T) {
	const idleMax, afterBurstMax = 8_000_000, 12_000_000
	dir := t.TempDir()
	a := &agent{t: t, dir: dir, socket: filepath.Join(dir, "agent.sock")}
	a.cmd = exec.Command(build(t), "serve", "--listen-unix", a.socket, "--workdir", dir, "--cgroup-fd", "3")
	a.cmd.ExtraFiles = []*os.File{ownCgroup(t, true)}
	a.run()
	eventually(t, "memory goes back after the start", func() bool { return a.proportionalBytes() <= idleMax })
	var burst sync.WaitGroup
	for range 200 {
		burst.Go(func() {
			if r := a.exec(&guestv1.ExecRequest{Argv: []string{"true"}}); r.exit.GetExitCode() != 0 || r.exit == nil {
				t.Errorf("%v %v", r.exit, r.err)
			}
		})
	}
	burst.Wait()
	eventually(t, "memory goes back after a burst", func() bool { return a.proportionalBytes() <= afterBurstMax })
	a.mustLive(t)
}
