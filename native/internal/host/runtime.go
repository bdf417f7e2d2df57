package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// runtimeCommand builds a call of the OCI runtime. It ends with this program; it gets nothing of our environment.
func (h *Host) runtimeCommand(ctx context.Context, kind runtimeKind, id string, args ...string) *exec.Cmd {
	all := append(kindArgs(kind), h.options.RuntimeArgs...)
	all = append(all, "--root", h.root.runtimeState(), "--log", h.root.in(id, "runtime.log"), "--log-format", "json")
	command := exec.CommandContext(ctx, h.options.RuntimePath, append(all, args...)...)
	command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return command
}

// handed is what the runtime gets. Those that there are of the first three reach the agent, from descriptor 3 on. The lock
// is held by the runtime's own processes only, so that after a crash of ours it is free when the last of them has ended.
type handed struct{ listener, group, egress, lock *os.File }

// runRuntime starts the sandbox. gVisor is handed nothing: its processes live as long as the sandbox and would hold the lock;
// they are all in its cgroups, where they can be found.
func (h *Host) runRuntime(ctx context.Context, kind runtimeKind, id string, console *os.File, give handed) error {
	args := []string{"run", "--detach", "--bundle", h.root.sandbox(id), "--pid-file", h.root.in(id, "pid")}
	var files []*os.File
	if kind != kindGVisor {
		for _, file := range []*os.File{give.listener, give.group, give.egress} {
			if file != nil {
				files = append(files, file)
			}
		}
		args = append(args, "--preserve-fds", strconv.Itoa(len(files)))
		files = append(files, give.lock)
	}
	command := h.runtimeCommand(ctx, kind, id, append(args, id)...)
	command.Stdout, command.Stderr = console, console
	command.ExtraFiles = files
	if h.cgroups.mode() == "hybrid" {
		command.SysProcAttr.UseCgroupFD, command.SysProcAttr.CgroupFD = true, int(give.group.Fd())
	}
	if err := command.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fail(codeFailed, "%s run: %v%s", h.options.RuntimePath, err, h.runtimeLog(id))
	}
	return nil
}

// runtimeLog returns the runtime's last words.
func (h *Host) runtimeLog(id string) string {
	data, _ := os.ReadFile(h.root.in(id, "runtime.log"))
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	var entry struct {
		Message string `json:"msg"`
	}
	if json.Unmarshal(lines[len(lines)-1], &entry) != nil || entry.Message == "" {
		return ""
	}
	return ": " + entry.Message
}

func (h *Host) recordRuntime(id string, layer *disk, console *os.File) (*runtimeRecord, error) {
	data, err := os.ReadFile(h.root.in(id, "pid"))
	if err != nil {
		return nil, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, err
	}
	return recordProcess(h.root.in(id, "runtime.json"), pid, layer, console)
}

func recordProcess(path string, pid int, layer *disk, console *os.File) (*runtimeRecord, error) {
	ticks, zombie, err := startTicks(pid)
	if err != nil || zombie {
		return nil, fail(codeFailed, "the agent ended at once")
	}
	record := &runtimeRecord{Pid: pid, StartTicks: ticks, BootID: bootID()}
	if layer != nil {
		record.LoopDevice, record.DiskInode = layer.loop, layer.inode
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(console.Fd()), &st); err != nil {
		return nil, err
	}
	record.ConsoleDev, record.ConsoleNode = st.Dev, st.Ino
	return record, writeRecord(path, record)
}

// deleteFromRuntime makes the runtime forget a sandbox whose processes have ended.
func (h *Host) deleteFromRuntime(ctx context.Context, id string) error {
	kept := h.root.runtimeOf(id)
	if len(kept) == 0 {
		return nil
	}
	var told error
	// runsc has nothing but its files, and waits for a second before it removes them.
	if kind, err := h.runtimeKind(ctx); err != nil || kind != kindGVisor {
		output, err := h.runtimeCommand(ctx, kind, id, "delete", id).CombinedOutput()
		if err == nil || ctx.Err() != nil {
			return err
		}
		told = fmt.Errorf("%s delete: %w: %s", h.options.RuntimePath, err, bytes.TrimSpace(output))
	}
	// Also a state that the runtime itself cannot read, from a crash within its start.
	for _, path := range kept {
		if err := os.RemoveAll(path); err != nil {
			return errors.Join(told, err)
		}
	}
	return nil
}
