package host

import (
	"context"
	"os"

	"golang.org/x/sys/unix"
)

// Owned is one sandbox of the data root, half-made ones included.
type Owned struct {
	ownerRecord
	SocketPath      string `json:"socket_path"`
	GuestMade       bool   `json:"guest_made"`        // the socket lies where the sandbox can change it
	EgressPath      string `json:"egress_path"`       // of the egress door, or empty
	EgressGuestMade bool   `json:"egress_guest_made"` // as guest_made
	Pid             int    `json:"pid"`
	StartTicks      uint64 `json:"start_ticks"`
	Alive           bool   `json:"alive"`
	EndedBy         string `json:"ended_by,omitempty"` // how, where it is known
}

// List shows everything below the data root, as the file system and the kernel have it.
func (h *Host) List(context.Context) ([]Owned, error) {
	ids, err := sandboxIDs(h.root)
	if err != nil {
		return nil, err
	}
	all := []Owned{}
	for _, id := range ids {
		if owned, ok := h.inspect(id); ok {
			all = append(all, owned)
		}
	}
	return all, nil
}

// Inspect shows one sandbox; a missing one is a failure with the code "missing".
func (h *Host) Inspect(_ context.Context, id string) (*Owned, error) {
	if err := checkSandboxID(id); err != nil {
		return nil, err
	}
	owned, ok := h.inspect(id)
	if !ok {
		return nil, fail(codeMissing, "sandbox %s is not here", id)
	}
	return &owned, nil
}

func (h *Host) inspect(id string) (Owned, bool) {
	info, err := os.Lstat(h.root.sandbox(id))
	if err != nil {
		return Owned{}, false
	}
	var owned Owned
	if readRecord(h.root.in(id, "owner.json"), &owned.ownerRecord) != nil {
		owned.ownerRecord = ownerRecord{CreatedAtMs: info.ModTime().UnixMilli()}
	}
	owned.SandboxID = id
	owned.SocketPath, owned.GuestMade = h.address(id)
	owned.EgressPath, owned.EgressGuestMade = h.egressAddress(id)
	var record runtimeRecord
	if readRecord(h.root.in(id, "runtime.json"), &record) == nil {
		owned.Pid, owned.StartTicks = record.Pid, record.StartTicks
		if pidfd := openProcess(record); pidfd >= 0 {
			unix.Close(pidfd)
			owned.Alive = true
			h.endings.watch(id, record)
		} else {
			owned.EndedBy = h.endedBy(id, record)
		}
	}
	return owned, true
}
