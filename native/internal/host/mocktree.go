package host

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// hostDirectories are shown read-only in a mock sandbox, where the host has them.
var hostDirectories = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
	"/etc/alternatives", "/etc/ssl", "/etc/ca-certificates", "/etc/ld.so.conf.d",
}

var hostFiles = []string{"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/debian_version", "/etc/os-release"}

var deviceFiles = []string{"null", "zero", "full", "random", "urandom", "tty"}

var ownFiles = map[string]string{
	"/etc/passwd":        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
	"/etc/group":         "root:x:0:\nnogroup:x:65534:\n",
	"/etc/hosts":         "127.0.0.1 localhost\n::1 localhost\n",
	"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}

// buildMockTree makes a root on a tmpfs and enters it; what was mounted before is gone for this process. More is called
// with the root while the host's files can still be reached.
func buildMockTree(root string, diskMB int, more func(root string) error) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%dm,mode=755", diskMB)); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	for path, mode := range map[string]uint32{
		"etc": 0o755, "dev": 0o755, "proc": 0o555, "root": 0o700, "run": 0o755, "tmp": 0o1777, "var": 0o755, "workspace": 0o755,
		"var/tmp": 0o1777, "dev/pts": 0o755, "dev/shm": 0o1777,
	} {
		directory := filepath.Join(root, path)
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
		if err := unix.Chmod(directory, mode); err != nil {
			return err
		}
	}
	for _, path := range append(append([]string{}, hostDirectories...), hostFiles...) {
		if err := showFromHost(path, root); err != nil {
			return fmt.Errorf("show %s: %w", path, err)
		}
	}
	for path, content := range ownFiles {
		if err := os.WriteFile(filepath.Join(root, path), []byte(content), 0o644); err != nil {
			return err
		}
	}
	if err := fillDev(filepath.Join(root, "dev")); err != nil {
		return err
	}
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount proc: %w", err)
	}
	if err := more(root); err != nil {
		return err
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	// The old root lands on the new one, from where it is taken off.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("enter the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	return unix.Chdir("/")
}

// showFromHost repeats a symlink and binds a directory or file read-only.
func showFromHost(path, root string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // the host has none
	}
	target := filepath.Join(root, path)
	switch {
	case info.Mode()&os.ModeSymlink != 0:
		to, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return os.Symlink(to, target)
	case info.IsDir():
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
	case info.Mode().IsRegular():
		if err := os.WriteFile(target, nil, 0o644); err != nil {
			return err
		}
	default:
		return nil
	}
	if err := unix.Mount(path, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	attributes := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	return unix.MountSetattr(unix.AT_FDCWD, target, unix.AT_RECURSIVE, &attributes)
}

func fillDev(dev string) error {
	for _, name := range deviceFiles {
		target := filepath.Join(dev, name)
		if err := os.WriteFile(target, nil, 0o666); err != nil {
			return err
		}
		if err := unix.Mount("/dev/"+name, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("show /dev/%s: %w", name, err)
		}
	}
	if err := unix.Mount("devpts", filepath.Join(dev, "pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
		return fmt.Errorf("mount devpts: %w", err)
	}
	for name, to := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(to, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	return nil
}
