package host

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// MockRequest asks for an agent that runs as a process of this host. It has namespaces, but no wall is promised.
type MockRequest struct {
	SandboxID  string `json:"sandbox_id"`
	ServerID   string `json:"server_id"`
	Generation int64  `json:"generation"`
	DiskMB     int    `json:"disk_mb"` // of memory: everything it writes is on a tmpfs
}

// SpawnMock makes a mock sandbox or leaves nothing.
func (h *Host) SpawnMock(ctx context.Context, request MockRequest) (*SpawnAnswer, error) {
	if err := checkSandboxID(request.SandboxID); err != nil {
		return nil, err
	}
	if request.DiskMB < minDiskMB || request.DiskMB > maxDiskMB {
		return nil, fail(codeInvalid, "disk_mb %d: %d to %d", request.DiskMB, minDiskMB, maxDiskMB)
	}
	lock, err := h.claimDirectory(ctx, ownerRecord{
		Provider: "mock", ServerID: request.ServerID, SandboxID: request.SandboxID, Generation: request.Generation,
		CreatedAtMs: time.Now().UnixMilli(),
	})
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	answer, err := h.startMock(ctx, request, lock)
	return answer, h.undoUnless(ctx, request.SandboxID, err)
}

func (h *Host) startMock(ctx context.Context, request MockRequest, lock *os.File) (*SpawnAnswer, error) {
	id, clock := request.SandboxID, newStepClock()
	attributes := &syscall.SysProcAttr{
		Setsid: true,
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS |
			unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Credential:  &syscall.Credential{NoSetGroups: true},
	}
	base := os.Getuid()
	var group *os.File
	if os.Getuid() == 0 {
		slot, err := claimSlot(h.root, id)
		if err != nil {
			return nil, err
		}
		base = slotBase(slot)
		attributes.UidMappings = []syscall.SysProcIDMap{{HostID: base, Size: idsPerSandbox}}
		attributes.GidMappings = attributes.UidMappings
		attributes.GidMappingsEnableSetgroups = true
		attributes.Credential = &syscall.Credential{}
		if group, err = h.cgroups.delegate(id, base, base); err != nil {
			return nil, err
		}
	}
	h.failpoint.reached(stepSpawnSlot)
	h.failpoint.reached(stepSpawnCgroup)
	listener, err := listen(h.root.socket(id))
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	h.failpoint.reached(stepSpawnListener)
	agent, err := os.Open(h.options.AgentPath)
	if err != nil {
		return nil, fail(codeUnavailable, "open the agent: %v", err)
	}
	defer agent.Close()
	console, err := os.OpenFile(h.root.in(id, "console"), os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	command := exec.Command("/proc/self/exe", MockInit, h.root.mountRoot(), strconv.Itoa(request.DiskMB), id, strconv.FormatBool(group != nil))
	command.SysProcAttr = attributes
	if group != nil {
		defer group.Close()
		attributes.UseCgroupFD, attributes.CgroupFD = true, int(group.Fd())
	}
	record, err := h.begin(firstProcess{
		id: id, command: command, console: console, what: "a mock sandbox in new namespaces",
		hint: "; allow them with: sysctl user.max_user_namespaces=65536",
		// The places that mockinit.go counts on.
		files: func(proceed, status *os.File) []*os.File {
			return []*os.File{listener, group, agent, proceed, status, lock}
		},
	})
	if err != nil {
		return nil, err
	}
	clock.mark("runtime")
	return &SpawnAnswer{
		SocketPath: h.root.socket(id), Pid: record.Pid, StartTicks: record.StartTicks, UIDBase: base, StepsUs: clock.steps,
	}, ctx.Err()
}
