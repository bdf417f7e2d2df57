// Package usage measures what the sandbox uses, as far as it can be seen from inside.
package usage

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/tree"
)

// Usage of the whole sandbox. The host's own figures are the binding ones.
type Usage struct {
	CPUUs            uint64
	MemoryBytes      uint64
	MemoryLimitBytes uint64
	Processes        int
	DiskUsedBytes    uint64
	DiskTotalBytes   uint64
}

// Now measures; disk is that of the file system which holds dir.
func Now(dir string) Usage {
	var u Usage
	for _, s := range tree.All() {
		u.Processes++
		u.CPUUs += (s.CPUTicks + s.ReapedTicks) * tree.TickUs
		u.MemoryBytes += s.ResidentPages * uint64(os.Getpagesize())
	}
	if n, ok := first("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes"); ok {
		u.MemoryBytes = n
	}
	total := totalMemory()
	u.MemoryLimitBytes = total
	if n, ok := first("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"); ok {
		u.MemoryLimitBytes = min(n, total)
	}
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil || unix.Statfs("/", &fs) == nil {
		u.DiskTotalBytes = fs.Blocks * uint64(fs.Bsize)
		u.DiskUsedBytes = (fs.Blocks - fs.Bfree) * uint64(fs.Bsize)
	}
	return u
}

func first(names ...string) (uint64, bool) {
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil {
			return n, true
		}
	}
	return 0, false
}

func totalMemory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return uint64(info.Totalram) * uint64(info.Unit)
}
