package host

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Destroy removes a sandbox in whatever state it is. It is no error when there is none.
func (h *Host) Destroy(ctx context.Context, id string) error {
	if err := checkSandboxID(id); err != nil {
		return err
	}
	lock, err := lockSandbox(ctx, h.root, id)
	var failure *Failure
	if errors.As(err, &failure) && failure.Code == codeMissing {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	return h.remove(ctx, id)
}

// remove takes a sandbox apart, each step legal when it was done before. The caller holds the lock. The directory goes
// last: as long as anything is left, list shows it.
func (h *Host) remove(ctx context.Context, id string) error {
	var record runtimeRecord
	_ = readRecord(h.root.in(id, "runtime.json"), &record) // absent in a half-made sandbox: then the cgroup knows
	h.endings.forget(id)
	h.cgroups.kill(id)
	if err := h.killTraced(ctx, id, record); err != nil {
		return err
	}
	if pidfd := openProcess(record); pidfd >= 0 {
		defer unix.Close(pidfd)
		if err := unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
			return err
		}
		if err := waitExit(ctx, pidfd); err != nil {
			return err
		}
	}
	if err := h.cgroups.empty(ctx, id); err != nil {
		return err
	}
	h.failpoint.reached(stepDestroyKilled)
	if err := h.deleteFromRuntime(ctx, id); err != nil {
		return err
	}
	h.failpoint.reached(stepDestroyRuntime)
	if err := h.cgroups.remove(ctx, id); err != nil {
		return err
	}
	h.failpoint.reached(stepDestroyCgroups)
	if record.LoopDevice != "" && !eventually(ctx, func() bool { return !loopHolds(record.LoopDevice, record.DiskInode) }) {
		return fail(codeFailed, "%s stays in use", record.LoopDevice)
	}
	if err := errors.Join(removeDoor(h.root.door(id)), removeDoor(h.root.egressDoor(id))); err != nil {
		return err
	}
	for _, path := range []string{h.root.egress(id), h.root.egressDoor(id)} {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if err := removeTree(h.root.tree(id)); err != nil {
		return err
	}
	if err := releaseSlots(h.root, id); err != nil {
		return err
	}
	h.failpoint.reached(stepDestroySlot)
	for _, name := range []string{"agent.sock", "config.json", "pid", "runtime.log", "runtime.json"} {
		_ = os.Remove(h.root.in(id, name))
	}
	h.failpoint.reached(stepDestroyFiles)
	return os.RemoveAll(h.root.sandbox(id))
}
