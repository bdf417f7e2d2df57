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

// maxSpares bounds the empty child cgroups that are kept for the next process: to make and remove one costs more than a
// short command's own start.
const maxSpares = 4

// cgroups makes one child cgroup per process under a directory that the host handed over.
type cgroups struct {
	dir  int
	last atomic.Uint64

	mu     sync.Mutex
	stale  []string
	spares []group
	timer  *time.Timer
}

// group is a child cgroup: its directory, and its cgroup.events to be read again and again.
type group struct {
	name   string
	fd     int
	events int
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
	g, found := f.spare()
	if !found {
		var err error
		if g, err = f.make(); err != nil {
			return nil, err
		}
	}
	attr.UseCgroupFD, attr.CgroupFD = true, g.fd
	return &cgroup{forest: f, group: g}, nil
}

func (f *cgroups) make() (group, error) {
	g := group{name: "p" + strconv.FormatUint(f.last.Add(1), 10)}
	err := unix.Mkdirat(f.dir, g.name, 0o755)
	if err != nil {
		return g, fmt.Errorf("make cgroup: %w", err)
	}
	if g.fd, err = unix.Openat(f.dir, g.name, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0); err == nil {
		if g.events, err = unix.Openat(g.fd, "cgroup.events", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0); err == nil {
			return g, nil
		}
		_ = unix.Close(g.fd)
	}
	_ = unix.Unlinkat(f.dir, g.name, unix.AT_REMOVEDIR)
	return g, fmt.Errorf("open cgroup: %w", err)
}

func (f *cgroups) spare() (g group, found bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last := len(f.spares) - 1; last >= 0 {
		g, found = f.spares[last], true
		f.spares = f.spares[:last]
	}
	return g, found
}

// keep makes a spare of a group in which nothing lives, and says whether it did. Nothing comes to life in it meanwhile:
// only the agent puts processes into one.
func (f *cgroups) keep(g group) bool {
	if populated, err := g.populated(); populated || err != nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.spares) == maxSpares {
		return false
	}
	f.spares = append(f.spares, g)
	return true
}

func (g group) populated() (bool, error) {
	var buf [256]byte
	for {
		n, err := unix.Pread(g.events, buf[:], 0)
		if err != unix.EINTR {
			return err == nil && bytes.Contains(buf[:n], []byte("populated 1")), err
		}
	}
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

	mu      sync.Mutex
	group   group
	removed bool
	// killed: the kernel may kill whatever is cloned into such a group later too.
	killed bool
}

func (c *cgroup) Brace() func() { return func() {} }

func (c *cgroup) Attach(leader int) { mark(leader, lowestMark) }

func (c *cgroup) Kill() {
	c.with(func(g group) {
		c.killed = true
		kill, err := unix.Openat(g.fd, "cgroup.kill", unix.O_WRONLY|unix.O_CLOEXEC, 0)
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
	c.with(func(g group) {
		text, err := readAt(g.fd, "cgroup.procs", 1<<20)
		if err == nil {
			pids = parsePids(text)
		}
	})
	return pids
}

func (c *cgroup) Alive() bool {
	alive := false
	c.with(func(g group) { alive, _ = g.populated() })
	return alive
}

func (c *cgroup) Remove() {
	c.mu.Lock()
	g, removed, killed := c.group, c.removed, c.killed
	c.removed = true
	c.mu.Unlock()
	if removed || !killed && c.forest.keep(g) {
		return
	}
	_ = unix.Close(g.events)
	_ = unix.Close(g.fd)
	if unix.Unlinkat(c.forest.dir, g.name, unix.AT_REMOVEDIR) == unix.EBUSY {
		c.forest.mu.Lock()
		c.forest.stale = append(c.forest.stale, g.name)
		c.forest.mu.Unlock()
		c.forest.Sweep()
	}
}

func (c *cgroup) with(do func(g group)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.removed {
		do(c.group)
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
