package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// maxChildCgroups bounds what an agent may make below its own directory.
	maxChildCgroups = 4096
	cgroupPrefix    = "stacyvm-"
)

// hierarchy is one mounted cgroup tree. Controllers is empty for version 2.
type hierarchy struct {
	MountPoint  string
	Controllers []string
}

// cgroups knows the machine's trees: version 2 alone, version 1, or both beside each other.
type cgroups struct {
	v1      []hierarchy
	unified string // mount point of version 2, empty if none
}

func (c cgroups) mode() string {
	switch {
	case len(c.v1) == 0 && c.unified != "":
		return "unified"
	case len(c.v1) > 0 && c.unified != "":
		return "hybrid"
	case len(c.v1) > 0:
		return "legacy"
	}
	return "none"
}

func findCgroups() (cgroups, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return cgroups{}, err
	}
	defer file.Close()
	return parseCgroupMounts(file)
}

func parseCgroupMounts(mountinfo io.Reader) (cgroups, error) {
	var found cgroups
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		fields, tail := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(tail) < 3 {
			continue
		}
		point := fields[4]
		switch tail[0] {
		case "cgroup2":
			if found.unified == "" {
				found.unified = point
			}
		case "cgroup":
			if slices.ContainsFunc(found.v1, func(h hierarchy) bool { return sameControllers(h, tail[2]) }) {
				continue
			}
			found.v1 = append(found.v1, hierarchy{MountPoint: point, Controllers: controllersOf(tail[2])})
		}
	}
	return found, lines.Err()
}

func controllersOf(superOptions string) []string {
	var names []string
	for _, option := range strings.Split(superOptions, ",") {
		if option != "rw" && option != "ro" && !strings.HasPrefix(option, "release_agent=") && option != "clone_children" && option != "xattr" {
			names = append(names, option)
		}
	}
	return names
}

func sameControllers(h hierarchy, superOptions string) bool {
	return slices.Equal(h.Controllers, controllersOf(superOptions))
}

// cgroupPath is the sandbox's path in every hierarchy: flat, so that no parent is left behind.
func cgroupPath(id string) string {
	// Every verb checks its id. Were one to forget it, ".." must not name the root, whose members are the whole host.
	if strings.ContainsAny(id, "/.\x00") {
		panic("unchecked sandbox id")
	}
	return "/" + cgroupPrefix + id
}

// directories lists where the sandbox's cgroup is or would be.
func (c cgroups) directories(id string) []string {
	var dirs []string
	for _, h := range c.v1 {
		dirs = append(dirs, filepath.Join(h.MountPoint, cgroupPath(id)))
	}
	if c.unified != "" {
		dirs = append(dirs, filepath.Join(c.unified, cgroupPath(id)))
	}
	return dirs
}

// delegate makes the sandbox's version 2 directory, gives it to the agent's user and opens it. Nil without version 2.
func (c cgroups) delegate(id string, uid, gid int) (*os.File, error) {
	if c.unified == "" {
		return nil, nil
	}
	dir := filepath.Join(c.unified, cgroupPath(id))
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	// The limit's own file stays root's, so the agent cannot lift it.
	if err := os.WriteFile(filepath.Join(dir, "cgroup.max.descendants"), []byte(strconv.Itoa(maxChildCgroups)), 0); err != nil {
		return nil, fmt.Errorf("bound child cgroups: %w", err)
	}
	for _, name := range []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"} {
		if err := os.Chown(filepath.Join(dir, name), uid, gid); err != nil {
			return nil, fmt.Errorf("delegate cgroup: %w", err)
		}
	}
	// A clone of the mount that begins at this directory: from it ".." leads nowhere.
	clone, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	defer unix.Close(clone)
	fd, err := unix.Openat(clone, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// hideUnified takes version 2 out of the present mount namespace where version 1 stands beside it. Runtimes then see
// version 1 alone: crun refuses the two together, and runc would join what delegate has made. The runtime is started in
// that directory instead.
func (c cgroups) hideUnified() error {
	if c.mode() != "hybrid" {
		return nil
	}
	if err := unix.Unmount(c.unified, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("hide %s: %w", c.unified, err)
	}
	return nil
}

// kill ends every process of the sandbox at once, where the machine has version 2.
func (c cgroups) kill(id string) {
	if c.unified != "" {
		_ = os.WriteFile(filepath.Join(c.unified, cgroupPath(id), "cgroup.kill"), []byte("1"), 0)
	}
}

// members lists the processes of the sandbox in any hierarchy, those in child groups included.
func (c cgroups) members(id string) []int {
	var pids []int
	for _, dir := range c.directories(id) {
		_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return nil
			}
			data, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
			for _, field := range strings.Fields(string(data)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 1 {
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// empty kills until no process is left, version 1 members by their pids.
func (c cgroups) empty(ctx context.Context, id string) error {
	done := eventually(ctx, func() bool {
		c.kill(id)
		pids := c.members(id)
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		return len(pids) == 0
	})
	if !done {
		return fail(codeFailed, "processes of sandbox %s do not end", id)
	}
	return nil
}

// remove deletes the sandbox's directory in every hierarchy, deepest first.
func (c cgroups) remove(ctx context.Context, id string) error {
	for _, dir := range c.directories(id) {
		// A directory stays busy for a moment after its last process.
		if !eventually(ctx, func() bool { return removeCgroup(dir) }) {
			return fail(codeFailed, "cgroup %s stays busy", dir)
		}
	}
	return nil
}

func removeCgroup(dir string) bool {
	err := unix.Rmdir(dir)
	if err == nil || err == unix.ENOENT {
		return true
	}
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if entry.IsDir() {
			removeCgroup(filepath.Join(dir, entry.Name()))
		}
	}
	err = unix.Rmdir(dir)
	return err == nil || err == unix.ENOENT
}
