package tree

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cgroups makes one child cgroup per process under a directory that the host handed over.
type cgroups struct {
	dir  int
	last atomic.Uint64

	mu    sync.Mutex
	stale []string
	timer *time.Timer
}

// Cgroups checks the directory and makes a forest of it. A descriptor from which ".." leads elsewhere is refused: the
// kernel resolves a program's interpreter while the agent's descriptors are still open, so such a directory would be a
// way into the file system that it comes from. The host must hand over a detached clone of the directory's mount.
func Cgroups(dir int) (Forest, error) {
	var here, above unix.Stat_t
	if err := unix.Fstat(dir, &here); err != nil {
		return nil, fmt.Errorf("cgroup descriptor: %w", err)
	}
	if err := unix.Fstatat(dir, "..", &above, 0); err == nil && (above.Dev != here.Dev || above.Ino != here.Ino) {
		return nil, errors.New("cgroup descriptor: its parent is reachable; pass a detached clone (open_tree)")
	}
	f := &cgroups{dir: dir}
	probe := "probe"
	if err := unix.Mkdirat(dir, probe, 0o755); err != nil && err != unix.EEXIST {
		return nil, fmt.Errorf("cgroup directory is not writable: %w", err)
	}
	_, err := readAt(dir, probe+"/cgroup.kill", 1)
	if errors.Is(err, unix.ENOENT) {
		err = errors.New("cgroup directory has no cgroup.kill")
	} else {
		err = nil
	}
	_ = unix.Unlinkat(dir, probe, unix.AT_REMOVEDIR)
	return f, err
}

func (f *cgroups) Kind() string { return "cgroup" }

func (f *cgroups) Plant(attr *syscall.SysProcAttr) (Tree, error) {
	name := "p" + strconv.FormatUint(f.last.Add(1), 10)
	if err := unix.Mkdirat(f.dir, name, 0o755); err != nil {
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	fd, err := unix.Openat(f.dir, name, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		_ = unix.Unlinkat(f.dir, name, unix.AT_REMOVEDIR)
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	attr.UseCgroupFD, attr.CgroupFD = true, fd
	return &cgroup{forest: f, name: name, fd: fd}, nil
}

func (f *cgroups) Sweep() {
	f.mu.Lock()
	defer f.mu.Unlock()
	kept := f.stale[:0]
	for _, name := range f.stale {
		if err := unix.Unlinkat(f.dir, name, unix.AT_REMOVEDIR); err == unix.EBUSY {
			kept = append(kept, name)
		}
	}
	f.stale = kept
	if len(kept) > 0 && f.timer == nil {
		f.timer = time.AfterFunc(100*time.Millisecond, func() {
			f.mu.Lock()
			f.timer = nil
			f.mu.Unlock()
			f.Sweep()
		})
	}
}

type cgroup struct {
	forest *cgroups
	name   string

	mu sync.Mutex
	fd int
}

func (c *cgroup) Brace() func() { return func() {} }

func (c *cgroup) Attach(leader int) { mark(leader, lowestMark) }

func (c *cgroup) Kill() {
	c.with(func(fd int) {
		kill, err := unix.Openat(fd, "cgroup.kill", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return
		}
		_, _ = unix.Write(kill, []byte("1"))
		_ = unix.Close(kill)
	})
}

func (c *cgroup) Signal(signal syscall.Signal) {
	for _, pid := range c.Pids() {
		_ = unix.Kill(pid, signal)
	}
}

func (c *cgroup) Pids() []int {
	var pids []int
	c.with(func(fd int) {
		text, err := readAt(fd, "cgroup.procs", 1<<20)
		if err == nil {
			pids = parsePids(text)
		}
	})
	return pids
}

func (c *cgroup) Alive() bool {
	alive := false
	c.with(func(fd int) {
		text, err := readAt(fd, "cgroup.events", 4096)
		alive = err == nil && bytes.Contains(text, []byte("populated 1"))
	})
	return alive
}

func (c *cgroup) Remove() {
	c.mu.Lock()
	fd := c.fd
	c.fd = -1
	c.mu.Unlock()
	if fd < 0 {
		return
	}
	_ = unix.Close(fd)
	if unix.Unlinkat(c.forest.dir, c.name, unix.AT_REMOVEDIR) == unix.EBUSY {
		c.forest.mu.Lock()
		c.forest.stale = append(c.forest.stale, c.name)
		c.forest.mu.Unlock()
		c.forest.Sweep()
	}
}

func (c *cgroup) with(do func(fd int)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd >= 0 {
		do(c.fd)
	}
}

func parsePids(text []byte) []int {
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

func readAt(dir int, name string, limit int) ([]byte, error) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	buf := make([]byte, min(limit, 4096))
	total := 0
	for {
		n, err := unix.Read(fd, buf[total:])
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return buf[:total], err
		}
		if total += n; total == len(buf) {
			if total >= limit {
				return buf, nil
			}
			buf = append(buf, make([]byte, len(buf))...)
		}
	}
}
