package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// startTicks tells one use of a pid from the next; zombie says that the process has ended.
func startTicks(pid int) (ticks uint64, zombie bool, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false, err
	}
	return parseStat(data)
}

func parseStat(data []byte) (ticks uint64, zombie bool, err error) {
	// The command's name may hold spaces and parentheses; the fields begin after the last one.
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return 0, false, fmt.Errorf("malformed stat")
	}
	fields := strings.Fields(string(data[end+1:]))
	const state, start = 0, 19
	if len(fields) <= start {
		return 0, false, fmt.Errorf("short stat")
	}
	ticks, err = strconv.ParseUint(fields[start], 10, 64)
	return ticks, fields[state] == "Z" || fields[state] == "X", err
}

// zombieStatus returns how a process ended that nobody has reaped yet.
func zombieStatus(r runtimeRecord) (unix.WaitStatus, bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.Pid))
	if err != nil {
		return 0, false
	}
	ticks, zombie, err := parseStat(data)
	if err != nil || !zombie || ticks != r.StartTicks {
		return 0, false
	}
	fields := strings.Fields(string(data))
	status, err := strconv.ParseUint(fields[len(fields)-1], 10, 32)
	return unix.WaitStatus(status), err == nil
}

var bootID = sync.OnceValue(func() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
})

// openProcess returns a pidfd of the recorded process, or -1 when that process is gone.
func openProcess(r runtimeRecord) int {
	if r.Pid <= 1 || r.BootID != bootID() {
		return -1
	}
	fd, err := unix.PidfdOpen(r.Pid, 0)
	if err != nil {
		return -1
	}
	// Checked after the open: from here on the descriptor cannot come to mean another process.
	ticks, zombie, err := startTicks(r.Pid)
	if err != nil || zombie || ticks != r.StartTicks {
		unix.Close(fd)
		return -1
	}
	return fd
}

// waitExit waits until the process behind the pidfd has ended, a first process with its whole namespace.
func waitExit(ctx context.Context, pidfd int) error {
	for {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 100)
		if n > 0 {
			return nil
		}
		if err != nil && err != unix.EINTR {
			return err
		}
		if ctx.Err() != nil {
			return fail(codeFailed, "the sandbox's first process does not end: %v", ctx.Err())
		}
	}
}

// eventually asks again with growing pauses until done says yes: the kernel gives no event for what it is used for.
func eventually(ctx context.Context, done func() bool) bool {
	for pause := 200 * time.Microsecond; !done(); pause = min(pause*2, 20*time.Millisecond) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
	}
	return true
}
