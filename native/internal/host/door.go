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
	// egressSource stands for the egress door's.
	egressSource = `"@egress"`
)

func (h *Host) withDoors(config json.RawMessage) json.RawMessage {
	config = bytes.ReplaceAll(config, []byte(doorSource), marshal(h.root.mountDoor()))
	return bytes.ReplaceAll(config, []byte(egressSource), marshal(h.root.mountEgress()))
}

// makeDoor mounts a directory in which the agent makes its own socket, for a runtime that takes no listener. What is in
// it is the sandbox's to change: whoever connects must not follow a link. It is a small memory file system, so that
// writing there fills no disk of the host, and the sandbox's user owns it.
func makeDoor(path, mode string, owner int) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	mount, err := mountDetached("tmpfs", map[string]string{
		"size": strconv.Itoa(doorBytes), "nr_inodes": strconv.Itoa(doorInodes), "mode": mode,
		"uid": strconv.Itoa(owner), "gid": strconv.Itoa(owner),
	}, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return fmt.Errorf("make the door: %w", err)
	}
	defer unix.Close(mount)
	return attach(mount, path)
}

// showDoor shows a door at a mount point that the sandbox's user can pass, in the present mount namespace.
func showDoor(path, at string) error {
	clone, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("open the door: %w", err)
	}
	defer unix.Close(clone)
	return attach(clone, at)
}

// removeDoor unmounts whatever is mounted there; without one it does nothing.
func removeDoor(path string) error {
	for {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err == unix.EINVAL || err == unix.ENOENT {
			return nil
		}
		if err != nil {
			return fmt.Errorf("remove the door: %w", err)
		}
	}
}

// openSocket opens a door's socket as a place. What the agent made is not reached through a link even now.
func openSocket(path string) (name int, ok bool) {
	name, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, false
	}
	var st unix.Stat_t
	if unix.Fstat(name, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		unix.Close(name)
		return -1, false
	}
	return name, true
}

// answers says whether somebody listens behind the door.
func answers(path string) bool {
	name, ok := openSocket(path)
	if !ok {
		return false
	}
	defer unix.Close(name)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d", name)}) == nil
}

// waitForDoor waits until it is open: until the agent listens there.
func waitForDoor(ctx context.Context, record *runtimeRecord, isOpen func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, doorTimeout)
	defer cancel()
	listens, ended := false, false
	eventually(ctx, func() bool {
		listens = isOpen()
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
