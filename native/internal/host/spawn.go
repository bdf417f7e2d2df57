package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// SpawnRequest asks for one sandbox under the OCI runtime.
type SpawnRequest struct {
	SandboxID  string `json:"sandbox_id"`
	ServerID   string `json:"server_id"`
	Generation int64  `json:"generation"`
	RootfsPath string `json:"rootfs_path"`
	DiskMB     int    `json:"disk_mb"`
	AgentUID   int    `json:"agent_uid"` // inside: 0 or 1000
	Egress     bool   `json:"egress"`    // with an egress door, and where the kind of wall lets it a TUN, or without any network for its life
	// Config is an OCI runtime configuration without root, hooks, id mappings and cgroup path.
	Config json.RawMessage `json:"config"`
}

// SpawnAnswer says where the agent listens. It may not have begun to accept yet; a connection waits for it.
type SpawnAnswer struct {
	SocketPath      string           `json:"socket_path"`
	GuestMade       bool             `json:"guest_made"` // the socket lies where the sandbox can change it
	Pid             int              `json:"pid"`
	StartTicks      uint64           `json:"start_ticks"`
	UIDBase         int              `json:"uid_base"`
	EgressPath      string           `json:"egress_path"`       // of the egress door, or empty
	EgressGuestMade bool             `json:"egress_guest_made"` // as guest_made
	StepsUs         map[string]int64 `json:"steps_us"`          // time of each step
}

// removeTimeout bounds the removal of a sandbox, whole or half-made.
const removeTimeout = 20 * time.Second

// Spawn makes a sandbox or leaves nothing.
func (h *Host) Spawn(ctx context.Context, request SpawnRequest) (*SpawnAnswer, error) {
	if err := checkSandboxID(request.SandboxID); err != nil {
		return nil, err
	}
	if request.AgentUID != 0 && request.AgentUID != 1000 {
		return nil, fail(codeInvalid, "agent_uid %d: 0 or 1000", request.AgentUID)
	}
	if err := h.checkTree(request.RootfsPath); err != nil {
		return nil, err
	}
	kind, err := h.runtimeKind(ctx)
	if err != nil {
		return nil, err
	}
	if request.Egress {
		if missing := missingForTUN(); missing != "" && kind == kindContainer {
			return nil, fail(codeUnavailable, "no outbound network: %s", missing)
		}
	}
	if missing := missingForKind(kind, h.options.RuntimePath); len(missing) > 0 {
		return nil, fail(codeUnavailable, "%s", missing[0])
	}
	lock, err := h.claimDirectory(ctx, ownerRecord{
		Provider: "oci", ServerID: request.ServerID, SandboxID: request.SandboxID, Generation: request.Generation,
		CreatedAtMs: time.Now().UnixMilli(), RootfsPath: request.RootfsPath,
	})
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	answer, err := h.assemble(ctx, kind, request, lock)
	return answer, h.undoUnless(ctx, request.SandboxID, err)
}

// undoUnless removes what was made when the spawn failed or was withdrawn, and returns why.
func (h *Host) undoUnless(ctx context.Context, id string, err error) error {
	if err == nil && ctx.Err() == nil {
		return nil
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	if undoErr := h.remove(undo, id); undoErr != nil {
		return fail(codeFailed, "%v; and undoing it: %v", err, undoErr)
	}
	if ctx.Err() != nil {
		return fail(codeCancelled, "spawn of %s was withdrawn", id)
	}
	return err
}

// claimDirectory makes the sandbox's directory, which from here on marks everything else as ours, and locks it.
func (h *Host) claimDirectory(ctx context.Context, owner ownerRecord) (*os.File, error) {
	if err := os.Mkdir(h.root.sandbox(owner.SandboxID), 0o700); errors.Is(err, fs.ErrExist) {
		return nil, fail(codeConflict, "sandbox %s exists", owner.SandboxID)
	} else if err != nil {
		return nil, err
	}
	lock, err := lockSandbox(ctx, h.root, owner.SandboxID)
	if err != nil {
		return nil, err
	}
	if err := writeRecord(h.root.in(owner.SandboxID, "owner.json"), owner); err != nil {
		lock.Close()
		return nil, err
	}
	h.failpoint.reached(stepSpawnDirectory)
	return lock, nil
}

func (h *Host) assemble(ctx context.Context, kind runtimeKind, request SpawnRequest, lock *os.File) (*SpawnAnswer, error) {
	id := request.SandboxID
	clock := newStepClock()
	slot, err := claimSlot(h.root, id)
	if err != nil {
		return nil, err
	}
	base := slotBase(slot)
	h.failpoint.reached(stepSpawnSlot)
	spec, err := completeSpec(h.withDoors(withAgent(request.Config, h.agentPath())), h.root.mountRoot(), cgroupPath(id), base)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(h.root.in(id, "config.json"), spec, 0o600); err != nil {
		return nil, err
	}
	clock.mark("prepare")
	layer, err := h.disks.make(ctx, request.DiskMB)
	if err != nil {
		return nil, err
	}
	defer layer.close()
	clock.mark("disk")
	users, err := openUserNamespace(base)
	if err != nil {
		return nil, err
	}
	defer unix.Close(users)
	clock.mark("users")
	group, err := h.cgroups.delegate(id, base+request.AgentUID, base+request.AgentUID)
	if err != nil {
		return nil, err
	}
	if group != nil {
		defer group.Close()
	}
	h.failpoint.reached(stepSpawnCgroup)
	var listener *os.File
	if kind == kindGVisor {
		err = makeDoor(h.root.door(id), "0700", base+request.AgentUID)
	} else if listener, err = listen(h.root.socket(id)); err == nil {
		defer listener.Close()
	}
	if err != nil {
		return nil, err
	}
	var egress *os.File
	hasTUN := request.Egress && kind == kindContainer
	switch {
	case hasTUN:
		if egress, err = h.listenForGateway(id); err != nil {
			return nil, err
		}
		defer egress.Close()
	case request.Egress:
		// The directory above lets nobody but the gateway pass.
		if err := makeDoor(h.root.egressDoor(id), "0711", base+request.AgentUID); err != nil {
			return nil, err
		}
	}
	h.failpoint.reached(stepSpawnListener)
	clock.mark("cgroup")

	var console *os.File
	err = inPrivateMounts(func() error {
		if err := h.cgroups.hideUnified(); err != nil {
			return err
		}
		opened, err := h.mountRoot(request.RootfsPath, layer, users, base, request.AgentUID)
		if err != nil {
			return err
		}
		console = opened
		if hasTUN {
			if err := writeNameFiles(h.root.mountRoot(), base); err != nil {
				return err
			}
		}
		if kind == kindGVisor {
			if err := showDoor(h.root.door(id), h.root.mountDoor()); err != nil {
				return err
			}
			if request.Egress {
				if err := showDoor(h.root.egressDoor(id), h.root.mountEgress()); err != nil {
					return err
				}
			}
		}
		h.failpoint.reached(stepSpawnMounts)
		clock.mark("mounts")
		err = h.runRuntime(ctx, kind, id, console, handed{listener, group, egress, lock})
		clock.mark("runtime")
		return err
	})
	if console != nil {
		defer console.Close()
	}
	if err != nil {
		return nil, withConsole(err, console)
	}
	h.failpoint.reached(stepSpawnRuntime)
	record, err := h.recordRuntime(id, layer, console)
	if err != nil {
		return nil, withConsole(err, console)
	}
	if kind == kindGVisor {
		// Namespaces made inside are of gVisor's own kernel.
		err := waitForDoor(ctx, record, func() bool { return answers(filepath.Join(h.root.door(id), socketName)) })
		if err == nil && request.Egress {
			err = h.waitForEgressDoor(ctx, id, record)
		}
		if err != nil {
			return nil, withConsole(err, console)
		}
	} else if err := forbidUserNamespaces(record.Pid); err != nil {
		// In time: until the answer nobody knows the socket, so nothing but the agent has run.
		return nil, err
	}
	if hasTUN {
		clock.mark("record")
		if err := h.makeNetwork(id, record); err != nil {
			return nil, withConsole(err, console)
		}
		clock.mark("network")
		h.failpoint.reached(stepSpawnNetwork)
	}
	h.failpoint.reached(stepSpawnRecord)
	h.endings.watch(id, *record)
	answer := &SpawnAnswer{Pid: record.Pid, StartTicks: record.StartTicks, UIDBase: base, StepsUs: clock.steps}
	answer.SocketPath, answer.GuestMade = h.address(id)
	answer.EgressPath, answer.EgressGuestMade = h.egressAddress(id)
	return answer, nil
}

func withConsole(err error, console *os.File) error {
	if console == nil {
		return err
	}
	text := make([]byte, 2048)
	n, _ := console.ReadAt(text, 0)
	if n == 0 {
		return err
	}
	return fmt.Errorf("%w; its console: %q", err, text[:n])
}

type stepClock struct {
	last  time.Time
	steps map[string]int64
}

func newStepClock() *stepClock { return &stepClock{last: time.Now(), steps: map[string]int64{}} }

func (c *stepClock) mark(step string) {
	now := time.Now()
	c.steps[step] = now.Sub(c.last).Microseconds()
	c.last = now
}
