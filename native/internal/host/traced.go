package host

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/tree"
)

// killTraced ends what PRoot traces, where no cgroup does. A stopped tracer holds each of its processes at the next call, so
// none can start another one meanwhile. What outlived its tracer is told by the files that it has mapped.
func (h *Host) killTraced(ctx context.Context, id string, record runtimeRecord) error {
	if !exists(h.root.tree(id)) {
		return nil
	}
	if pidfd := openProcess(record); pidfd >= 0 {
		defer unix.Close(pidfd)
		_ = unix.PidfdSendSignal(pidfd, unix.SIGSTOP, nil, 0)
		for _, pid := range tracedBy(record.Pid) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		// Killed as well by whoever called; what it traces may not live on without it.
		_ = unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0)
		if err := waitExit(ctx, pidfd); err != nil {
			return err
		}
	}
	done := eventually(ctx, func() bool {
		left := append(h.mapping(id, record.Pid == 0), h.untraced(record)...)
		for _, pid := range left {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		return len(left) == 0
	})
	if !done {
		return fail(codeFailed, "processes of sandbox %s do not end", id)
	}
	return nil
}

// tracedBy lists the processes of which this one is the tracer. Nobody can be so without being it.
func tracedBy(tracer int) []int {
	line := []byte("\nTracerPid:\t" + strconv.Itoa(tracer) + "\n")
	return processesWhere(func(directory string) bool {
		status, err := os.ReadFile(directory + "/status")
		return err == nil && bytes.Contains(status, line)
	})
}

// mapping lists the living processes that have mapped a file of the sandbox's tree and, where no record names their tracer, those
// that see the tree as a mount of their own: nothing else tells of those that are hidden.
func (h *Host) mapping(id string, isUnrecorded bool) []int {
	tree := h.root.tree(id)
	mapped := []byte(" " + tree + "/")
	// A mount's root is told as its file system names it: the end of the path, whose last name is nobody else's.
	mounted := []byte("/" + filepath.Join(filepath.Base(filepath.Dir(tree)), filepath.Base(tree)) + " " + treeInside + " ")
	has := func(file string, text []byte) bool {
		content, err := os.ReadFile(file) // of another user's processes: none of ours
		return err == nil && bytes.Contains(content, text)
	}
	return processesWhere(func(directory string) bool {
		return has(directory+"/maps", mapped) || isUnrecorded && has(directory+"/mountinfo", mounted)
	})
}

// untraced lists what PRoot had started and not yet begun to trace when it was killed: in its session, and still its program.
func (h *Host) untraced(record runtimeRecord) []int {
	if record.Pid <= 1 || record.BootID != bootID() {
		return nil
	}
	if ticks, _, err := startTicks(record.Pid); err == nil && ticks != record.StartTicks {
		return nil // the number, and so the session, is another's by now
	}
	proot, err := filepath.EvalSymlinks(h.options.PRootPath)
	if err != nil {
		return nil
	}
	return processesWhere(func(directory string) bool {
		program, err := os.Readlink(directory + "/exe")
		pid, _ := strconv.Atoi(filepath.Base(directory))
		if err != nil || program != proot || pid == record.Pid {
			return false
		}
		stat, ok := tree.ReadStat(pid)
		return ok && stat.Session == record.Pid
	})
}

func processesWhere(is func(directory string) bool) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && pid > 1 && pid != os.Getpid() && is("/proc/"+entry.Name()) {
			found = append(found, pid)
		}
	}
	return found
}

// tracedUsage adds up what the living processes of a sandbox without a cgroup use.
func tracedUsage(record runtimeRecord) Usage {
	var usage Usage
	for _, pid := range append(tracedBy(record.Pid), record.Pid) {
		stat, ok := tree.ReadStat(pid)
		if !ok {
			continue
		}
		usage.CPUUs += stat.CPUTicks * tree.TickUs
		usage.MemoryBytes += stat.ResidentPages * uint64(os.Getpagesize())
		usage.Processes++
	}
	return usage
}
