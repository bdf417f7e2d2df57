package host

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func newHost(t *testing.T) *Host {
	t.Helper()
	h, err := New(Options{DataRoot: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestARequestOneByteLongerThanItsBoundIsRefused(t *testing.T) {
	const request = `{"id":1,"verb":"list"}`
	for length, want := range map[int]string{maxRequestBytes: "", maxRequestBytes + 1: codeInvalid} {
		var output strings.Builder
		err := newHost(t).Serve(context.Background(), strings.NewReader(request+strings.Repeat(" ", length-len(request))+"\n"), &output)
		if codeOf(err) != want || want == "" && err != nil || want != "" && !strings.Contains(err.Error(), strconv.Itoa(maxRequestBytes)) {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

func TestOneVerbTooManyWaitsForItsTurn(t *testing.T) {
	var running, most atomic.Int64
	release := make(chan struct{})
	verbs["test-wait"] = func(*Host, context.Context, json.RawMessage) (any, error) {
		now := running.Add(1)
		defer running.Add(-1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		<-release
		return nothing{}, nil
	}
	defer delete(verbs, "test-wait")
	var input, output strings.Builder
	for id := range maxConcurrentVerbs + 1 {
		fmt.Fprintf(&input, `{"id":%d,"verb":"test-wait"}`+"\n", id+1)
	}
	h := newHost(t)
	served := make(chan error)
	go func() { served <- h.Serve(context.Background(), strings.NewReader(input.String()), &output) }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if !eventually(ctx, func() bool { return running.Load() >= maxConcurrentVerbs }) {
		t.Errorf("%d run", running.Load())
	}
	close(release)
	if err := <-served; err != nil || most.Load() != maxConcurrentVerbs {
		t.Errorf("%d ran at once, %v", most.Load(), err)
	}
	if answers := strings.Count(output.String(), `"ok"`); answers != maxConcurrentVerbs+1 {
		t.Errorf("%d answers", answers)
	}
}

func TestARecordOneByteLongerThanItsBoundIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "owner.json")
	for length, readable := range map[int]bool{maxRecordBytes: true, maxRecordBytes + 1: false} {
		if err := os.WriteFile(path, []byte(`{"provider":"x"}`+strings.Repeat(" ", length-16)), 0o600); err != nil {
			t.Fatal(err)
		}
		var record ownerRecord
		if err := readRecord(path, &record); (err == nil) != readable {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

func TestADiskOneMebibyteOutsideItsBoundsIsRefused(t *testing.T) {
	h := newHost(t)
	for size, within := range map[int]bool{minDiskMB - 1: false, minDiskMB: true, maxDiskMB: true, maxDiskMB + 1: false} {
		// Without an agent nothing starts; what matters is why.
		_, err := h.SpawnMock(context.Background(), MockRequest{SandboxID: "sb-1", DiskMB: size})
		if (codeOf(err) == codeInvalid) == within {
			t.Errorf("mock, %d: %v", size, err)
		}
		if within {
			continue
		}
		if _, err := h.disks.make(context.Background(), size); codeOf(err) != codeInvalid || !strings.Contains(err.Error(), "disk_mb") {
			t.Errorf("oci, %d: %v", size, err)
		}
	}
	if left, err := h.List(context.Background()); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestOneSandboxMoreThanThereAreRangesOfUsersIsRefused(t *testing.T) {
	d := testRoot(t)
	for slot := range slotCount - 1 {
		if err := os.Symlink("sb-old", filepath.Join(d.slots(), strconv.Itoa(slot))); err != nil {
			t.Fatal(err)
		}
	}
	if slot, err := claimSlot(d, "sb-last"); err != nil || slot != slotCount-1 {
		t.Errorf("the last: %d %v", slot, err)
	}
	if _, err := claimSlot(d, "sb-more"); codeOf(err) != codeExhausted {
		t.Errorf("one more: %v", err)
	}
}

func TestTheConsoleIsReadByItsEndAndNoFurtherThanItsBound(t *testing.T) {
	h := newHost(t)
	if err := os.Mkdir(h.root.sandbox("sb-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	console, err := os.OpenFile(h.root.in("sb-1", "console"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer console.Close()
	command := exec.Command("sleep", "60")
	command.Stdout = console
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = command.Process.Kill(); _ = command.Wait() }()
	if _, err := recordProcess(h.root.in("sb-1", "runtime.json"), command.Process.Pid, nil, console); err != nil {
		t.Fatal(err)
	}
	// Endless: a terabyte that takes no room, and what was said last.
	if _, err := console.WriteAt([]byte("last words"), 1<<40); err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[int64]int{-1: 0, 0: 0, 4: 4, maxConsoleBytes: maxConsoleBytes, maxConsoleBytes + 1: maxConsoleBytes, 1 << 62: maxConsoleBytes} {
		got, err := h.Console("sb-1", asked)
		if err != nil || len(got.Text) != want || !strings.HasSuffix("last words", got.Text[max(0, want-10):]) {
			t.Errorf("%d bytes: %v", asked, err)
		}
	}
}

func TestAConsoleThatIsNotTheOneThatWasGivenIsNotRead(t *testing.T) {
	h := newHost(t)
	if err := os.Mkdir(h.root.sandbox("sb-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	given, err := os.Create(h.root.in("sb-1", "console"))
	if err != nil {
		t.Fatal(err)
	}
	defer given.Close()
	fifo := filepath.Join(h.options.DataRoot, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(h.options.DataRoot, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, secret, "/dev/zero"} {
		// Opened for both, so that a FIFO holds nobody up.
		other, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		command := exec.Command("sleep", "60")
		command.Stdout = other
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := recordProcess(h.root.in("sb-1", "runtime.json"), command.Process.Pid, nil, given); err != nil {
			t.Fatal(err)
		}
		if got, err := h.Console("sb-1", 100); codeOf(err) != codeFailed {
			t.Errorf("%s: %v %v", path, got, err)
		}
		_ = command.Process.Kill()
		_ = command.Wait()
		_ = other.Close()
	}
}

func TestAnAgentMakesNoMoreCgroupsThanItsBound(t *testing.T) {
	found, err := findCgroups()
	if err != nil || found.unified == "" || os.Geteuid() != 0 {
		t.Skip("cgroup version 2 and root are needed")
	}
	only := cgroups{unified: found.unified}
	id := fmt.Sprintf("test-%d", os.Getpid())
	group, err := only.delegate(id, os.Getuid(), os.Getgid())
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	defer func() {
		if err := only.remove(context.Background(), id); err != nil {
			t.Error(err)
		}
	}()
	for i := range maxChildCgroups {
		if err := unix.Mkdirat(int(group.Fd()), strconv.Itoa(i), 0o755); err != nil {
			t.Fatalf("child %d: %v", i, err)
		}
	}
	if err := unix.Mkdirat(int(group.Fd()), "more", 0o755); err != unix.EAGAIN {
		t.Errorf("one more: %v", err)
	}
}
