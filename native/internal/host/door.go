package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// doorBytes and doorInodes bound what a sandbox can put where only its socket belongs.
	doorBytes  = 64 << 10
	doorInodes = 16
	// doorTimeout bounds the wait for the agent's socket.
	doorTimeout = 10 * time.Second
	// doorSource stands for the door's path in a mount of the request.
	doorSource = `"@door"`
)

func withDoor(config json.RawMessage, path string) json.RawMessage {
	return bytes.ReplaceAll(config, []byte(doorSource), marshal(path))
}

// makeDoor mounts a directory in which the agent makes its own socket, for a runtime that takes no listener. What is in
// it is the sandbox's to change: whoever connects must not follow a link. It is a small memory file system, so that
// writing there fills no disk of the host, and the sandbox's user owns it.
func (h *Host) makeDoor(id string, owner int) error {
	if err := os.Mkdir(h.root.door(id), 0o700); err != nil {
		return err
	}
	mount, err := mountDetached("tmpfs", map[string]string{
		"size": strconv.Itoa(doorBytes), "nr_inodes": strconv.Itoa(doorInodes), "mode": "0700",
		"uid": strconv.Itoa(owner), "gid": strconv.Itoa(owner),
	}, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return fmt.Errorf("make the door: %w", err)
	}
	defer unix.Close(mount)
	return attach(mount, h.root.door(id))
}

// showDoor shows the door at a mount point that the sandbox's user can pass, in the present mount namespace.
func (h *Host) showDoor(id string) error {
	clone, err := unix.OpenTree(unix.AT_FDCWD, h.root.door(id), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("open the door: %w", err)
	}
	defer unix.Close(clone)
	return attach(clone, h.root.mountDoor())
}

// removeDoor unmounts whatever is mounted there; without one it does nothing.
func (h *Host) removeDoor(id string) error {
	for {
		err := unix.Unmount(h.root.door(id), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err == unix.EINVAL || err == unix.ENOENT {
			return nil
		}
		if err != nil {
			return fmt.Errorf("remove the door: %w", err)
		}
	}
}

// answers says whether somebody listens behind the door. What the agent made is not reached through a link even now.
func answers(path string) bool {
	name, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(name)
	var st unix.Stat_t
	if unix.Fstat(name, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return false
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d", name)}) == nil
}

// waitForDoor waits until the agent listens there.
func (h *Host) waitForDoor(ctx context.Context, id string, record *runtimeRecord) error {
	ctx, cancel := context.WithTimeout(ctx, doorTimeout)
	defer cancel()
	listens, ended := false, false
	eventually(ctx, func() bool {
		listens = answers(filepath.Join(h.root.door(id), socketName))
		pidfd := openProcess(*record)
		ended = pidfd < 0
		if !ended {
			unix.Close(pidfd)
		}
		return listens || ended
	})
	switch {
	case listens:
		return nil
	case ended:
		return fail(codeFailed, "the agent ended at once")
	}
	return fail(codeFailed, "the agent does not listen within %v", doorTimeout)
}

// address says where the agent's socket is, and whether it was made from inside.
func (h *Host) address(id string) (path string, guestMade bool) {
	if exists(h.root.door(id)) {
		return filepath.Join(h.root.door(id), socketName), true
	}
	return h.root.socket(id), false
}
