package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sys/unix"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

// ownCgroup makes a cgroup2 directory and opens it as the host has to: from a detached clone of its mount.
func ownCgroup(t *testing.T, detached bool) *os.File {
	t.Helper()
	root := ""
	for _, candidate := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		var fs unix.Statfs_t
		if unix.Statfs(candidate, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			root = candidate
			break
		}
	}
	dir := filepath.Join(root, "stacyvm-test-"+rand.Text())
	if root == "" || os.Mkdir(dir, 0o755) != nil {
		t.Skip("no writable cgroup2 hierarchy on this host")
	}
	t.Cleanup(func() {
		// An agent that the test killed had no time to remove the group of its last command.
		eventually(t, "the cgroup is empty and goes", func() bool {
			inner, _ := filepath.Glob(filepath.Join(dir, "p*"))
			for _, group := range inner {
				_ = os.Remove(group)
			}
			return os.Remove(dir) == nil
		})
	})
	if !detached {
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		t.Skip("open_tree is not allowed here: ", err)
	}
	return os.NewFile(uintptr(fd), dir)
}

func startInCgroup(t *testing.T, detached bool) (*agent, string) {
	t.Helper()
	cgroup := ownCgroup(t, detached)
	dir := t.TempDir()
	a := &agent{t: t, dir: dir, socket: filepath.Join(dir, "agent.sock")}
	a.cmd = exec.Command(os.Args[0], "serve", "--listen-unix", a.socket, "--workdir", dir, "--cgroup-fd", "3")
	a.cmd.ExtraFiles = []*os.File{cgroup}
	a.run()
	return a, cgroup.Name()
}

func (a *agent) treeKill() string {
	info, err := a.guest.Info(context.Background(), connect.NewRequest(&guestv1.InfoRequest{}))
	if err != nil {
		a.t.Fatal(err)
	}
	return info.Msg.TreeKill
}

func TestWithACgroupTheTreeEndsWhateverItDid(t *testing.T) {
	a, dir := startInCgroup(t, true)
	if kind := a.treeKill(); kind != "cgroup" {
		t.Fatalf("tree_kill is %s", kind)
	}
	begun := time.Now()
	r := a.exec(&guestv1.ExecRequest{Argv: []string{"sh", "-c", "for i in 1 2 3; do (setsid setsid sh -c 'sleep 3173' &); done; sleep 3173"}, TimeoutMs: 200})
	if took := time.Since(begun); took > 200*time.Millisecond+300*time.Millisecond*slowdown || !r.exit.TimedOut {
		t.Errorf("took %v, %v", took, r.exit)
	}
	eventually(t, "nothing lives in a child cgroup", func() bool { return populated(t, dir) == 0 })
	r = a.sh("mkfifo end; cat end >/dev/null 2>&1 & exit 0")
	if !r.exit.Background {
		t.Error("a child with its own output is not seen")
	}
	if err := os.WriteFile(a.dir+"/end", nil, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing lives in the background child's cgroup", func() bool { return populated(t, dir) == 0 })
	if r := a.sh("cat /proc/self/cgroup; ls /proc/self/fd | wc -l"); !strings.HasSuffix(string(r.stdout), "\n4\n") {
		t.Errorf("the descriptor is inherited: %s", r.stdout)
	}
}

func TestACgroupDescriptorWithAWayOutIsRefused(t *testing.T) {
	a, _ := startInCgroup(t, false)
	if kind := a.treeKill(); kind != "best-effort" {
		t.Fatalf("tree_kill is %s", kind)
	}
}

func TestAnEmptyCgroupServesTheNextProcessAndFewAreKept(t *testing.T) {
	const kept = 4
	a, dir := startInCgroup(t, true)
	own := func() string {
		r := a.sh("grep ^0: /proc/self/cgroup")
		return string(r.stdout)
	}
	first := own()
	if second := own(); first == "" || second != first {
		t.Errorf("%q, then %q", first, second)
	}
	if r := a.sh("mkfifo end; cat end >/dev/null 2>&1 & exit 0"); !r.exit.Background {
		t.Error("a child with its own output is not seen")
	}
	if beside := own(); beside == first {
		t.Errorf("the cgroup of a background child was given away: %q", beside)
	}
	var all sync.WaitGroup
	for i := range 2 * kept {
		all.Go(func() { a.sh(fmt.Sprintf("mkfifo end%d; cat end%d", i, i)) })
	}
	eventually(t, "each has a cgroup", func() bool { return populated(t, dir) == 1+2*kept })
	for _, end := range append(strings.Fields("0 1 2 3 4 5 6 7"), "") {
		eventually(t, "the fifo is there", func() bool { return os.WriteFile(a.dir+"/end"+end, nil, 0) == nil })
	}
	all.Wait()
	eventually(t, "few are kept", func() bool { return populated(t, dir) == 0 && len(children(t, dir)) == kept })
}

func populated(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	for _, child := range children(t, dir) {
		events, err := os.ReadFile(child + "/cgroup.events")
		if err == nil && strings.Contains(string(events), "populated 1") {
			n++
		}
	}
	return n
}

func children(t *testing.T, dir string) []string {
	t.Helper()
	inner, err := filepath.Glob(filepath.Join(dir, "p*"))
	if err != nil {
		t.Fatal(err)
	}
	return inner
}
