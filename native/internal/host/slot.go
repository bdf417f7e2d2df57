package host

import (
	"errors"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

const (
	// firstMappedID starts ranges that the distributions leave unassigned.
	firstMappedID = 0x70000000
	idsPerSandbox = 0x10000
	// slotCount ends before the range that systemd reserves for foreign images.
	slotCount = 4094
)

func slotBase(slot int) int { return firstMappedID + slot*idsPerSandbox }

// claimSlot takes a free range of user ids. A slot is a symlink to the sandbox's id: made at once with its content.
func claimSlot(d dataRoot, id string) (int, error) {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id))
	first := int(hash.Sum32() % slotCount)
	for i := range slotCount {
		slot := (first + i) % slotCount
		err := os.Symlink(id, filepath.Join(d.slots(), strconv.Itoa(slot)))
		if err == nil {
			return slot, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return 0, err
		}
	}
	return 0, fail(codeExhausted, "all %d user id ranges are taken", slotCount)
}

// releaseSlots frees whatever the sandbox holds.
func releaseSlots(d dataRoot, id string) error {
	entries, err := os.ReadDir(d.slots())
	if err != nil {
		return err
	}
	for _, entry := range entries {
		path := filepath.Join(d.slots(), entry.Name())
		if owner, err := os.Readlink(path); err == nil && owner == id {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
