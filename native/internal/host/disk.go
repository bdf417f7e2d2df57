package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	minDiskMB = 16
	maxDiskMB = 1 << 20
	// loopAttempts is how many a busy machine is asked for before giving up on the race for a free one.
	loopAttempts = 64
)

// disk is a mounted writable layer that has no name anywhere: an unnamed file behind a loop device that clears itself,
// mounted but attached to no namespace. When the last holder goes, by whatever way, all of it goes.
type disk struct {
	mount  int // detached mount
	loop   string
	inode  uint64
	sizeMB int
}

func (d *disk) close() { unix.Close(d.mount) }

// diskMaker makes writable layers from one formatted template per size.
type diskMaker struct {
	root      dataRoot
	templates sync.Mutex
}

// template returns the path of a formatted, nearly empty file of the size, making it when missing.
func (m *diskMaker) template(ctx context.Context, sizeMB int) (string, error) {
	path := filepath.Join(m.root.disks(), fmt.Sprintf("template-v1-%d.ext4", sizeMB))
	m.templates.Lock()
	defer m.templates.Unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	seed, err := os.MkdirTemp(m.root.disks(), "seed-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(seed)
	for _, name := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(seed, name), 0o755); err != nil {
			return "", err
		}
	}
	if err := os.WriteFile(filepath.Join(seed, "console"), nil, 0o600); err != nil {
		return "", err
	}
	partial := path + ".partial"
	defer os.Remove(partial)
	// No journal: a sandbox's disk does not outlive a crash. Inode tables are zero already in a sparse file.
	command := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-d", seed, "-m", "0", "-b", "4096",
		"-O", "^has_journal,^resize_inode", "-E", "lazy_itable_init=1,nodiscard,root_owner=0:0",
		partial, fmt.Sprintf("%dM", sizeMB))
	command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if output, err := command.CombinedOutput(); err != nil {
		return "", fail(codeUnavailable, "mkfs.ext4: %v: %s", err, bytes.TrimSpace(output))
	}
	return path, os.Rename(partial, path)
}

func (m *diskMaker) make(ctx context.Context, sizeMB int) (*disk, error) {
	if sizeMB < minDiskMB || sizeMB > maxDiskMB {
		return nil, fail(codeInvalid, "disk_mb %d: %d to %d", sizeMB, minDiskMB, maxDiskMB)
	}
	template, err := m.template(ctx, sizeMB)
	if err != nil {
		return nil, err
	}
	file, err := unnamedCopy(template, m.root.disks())
	if err != nil {
		return nil, fmt.Errorf("copy disk template: %w", err)
	}
	defer file.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return nil, err
	}
	loop, device, err := attachLoop(file)
	if err != nil {
		return nil, err
	}
	// The mount holds the device from here on; it clears itself with the last holder.
	defer unix.Close(device)
	mount, err := mountDetached("ext4", map[string]string{"source": loop, "noinit_itable": ""}, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOATIME)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", loop, err)
	}
	return &disk{mount: mount, loop: loop, inode: st.Ino, sizeMB: sizeMB}, nil
}

// unnamedCopy copies the data of a sparse file, not its holes, into a file without a name.
func unnamedCopy(path, directory string) (*os.File, error) {
	source, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(directory, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC|unix.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	target := os.NewFile(uintptr(fd), directory)
	if err := copyExtents(source, target, info.Size()); err != nil {
		target.Close()
		return nil, err
	}
	return target, nil
}

func copyExtents(source, target *os.File, size int64) error {
	if err := target.Truncate(size); err != nil {
		return err
	}
	for at := int64(0); at < size; {
		start, err := unix.Seek(int(source.Fd()), at, unix.SEEK_DATA)
		if err == unix.ENXIO {
			return nil
		}
		if err != nil {
			return err
		}
		end, err := unix.Seek(int(source.Fd()), start, unix.SEEK_HOLE)
		if err != nil {
			return err
		}
		for from, to := start, start; from < end; {
			n, err := unix.CopyFileRange(int(source.Fd()), &from, int(target.Fd()), &to, int(end-from), 0)
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("template shrank")
			}
		}
		at = end
	}
	return nil
}

// attachLoop binds the file to a free loop device that frees itself at its last close.
func attachLoop(file *os.File) (string, int, error) {
	control, err := unix.Open("/dev/loop-control", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", -1, fail(codeUnavailable, "open /dev/loop-control: %v; load it with: modprobe loop", err)
	}
	defer unix.Close(control)
	for range loopAttempts {
		number, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return "", -1, fail(codeExhausted, "no free loop device: %v", err)
		}
		name := fmt.Sprintf("/dev/loop%d", number)
		device, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err == unix.ENOENT {
			if err = unix.Mknod(name, unix.S_IFBLK|0o600, int(unix.Mkdev(7, uint32(number)))); err == nil || err == unix.EEXIST {
				device, err = unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
			}
		}
		if err != nil {
			return "", -1, fmt.Errorf("open %s: %w", name, err)
		}
		config := unix.LoopConfig{Fd: uint32(file.Fd()), Size: 4096}
		config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
		err = unix.IoctlLoopConfigure(device, &config)
		if err == nil {
			return name, device, nil
		}
		unix.Close(device)
		if err != unix.EBUSY { // somebody else was faster with this one
			return "", -1, fmt.Errorf("configure %s: %w", name, err)
		}
	}
	return "", -1, fail(codeExhausted, "no loop device could be had in %d attempts", loopAttempts)
}

// loopHolds says whether the device still carries the unnamed file with this inode number. Read from sysfs: an open of
// the device would itself delay its clearing.
func loopHolds(name string, inode uint64) bool {
	data, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(name), "loop/backing_file"))
	return err == nil && strings.Contains(string(data), fmt.Sprintf("/#%d", inode))
}
