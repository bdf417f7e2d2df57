package host

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxRecordBytes bounds what is read back of our own small files.
const maxRecordBytes = 1 << 20

// ownerRecord says whose a sandbox is; it is the first file of its directory.
type ownerRecord struct {
	Provider    string `json:"provider"`
	ServerID    string `json:"server_id"`
	SandboxID   string `json:"sandbox_id"`
	Generation  int64  `json:"generation"`
	CreatedAtMs int64  `json:"created_at_ms"`
	RootfsPath  string `json:"rootfs_path,omitempty"` // the image tree it stands on
}

// runtimeRecord identifies what runs; written last.
type runtimeRecord struct {
	Pid         int    `json:"pid"`
	StartTicks  uint64 `json:"start_ticks"` // since boot, with the pid an identity
	BootID      string `json:"boot_id"`
	LoopDevice  string `json:"loop_device,omitempty"`
	DiskInode   uint64 `json:"disk_inode,omitempty"`
	ConsoleDev  uint64 `json:"console_dev,omitempty"`
	ConsoleNode uint64 `json:"console_inode,omitempty"`
}

// writeRecord makes the file appear whole or not at all.
func writeRecord(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	partial := path + ".partial"
	if err := os.WriteFile(partial, data, 0o600); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

func readRecord(path string, value any) error {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0) // a pipe in its place would never open
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxRecordBytes {
		return fail(codeFailed, "%s is not one of our records", path)
	}
	return json.NewDecoder(file).Decode(value)
}

// lockSandbox takes the sandbox's lock, waiting for a holder, who may be a runtime program that outlived a crash of ours.
// The lock is on the directory itself, so that nothing is left when the directory goes.
func lockSandbox(ctx context.Context, d dataRoot, id string) (*os.File, error) {
	for {
		dir, err := os.OpenFile(d.sandbox(id), os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fail(codeMissing, "sandbox %s is not here", id)
		}
		if err != nil {
			return nil, err
		}
		if !eventually(ctx, func() bool { return unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil }) {
			dir.Close()
			return nil, fail(codeFailed, "sandbox %s stays locked by another operation", id)
		}
		// Whoever held the lock before may have removed the directory, and a new one may stand in its place.
		held, err := dir.Stat()
		if err == nil {
			now, statErr := os.Lstat(d.sandbox(id))
			if statErr == nil && os.SameFile(held, now) {
				return dir, nil
			}
		}
		dir.Close()
	}
}

func ignoringEINTR(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func sandboxIDs(d dataRoot) ([]string, error) {
	entries, err := os.ReadDir(d.runs())
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, entry := range entries {
		if entry.IsDir() && sandboxIDPattern.MatchString(entry.Name()) {
			ids = append(ids, filepath.Base(entry.Name()))
		}
	}
	return ids, nil
}
