package host

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Usage of one sandbox as its cgroup counts it.
type Usage struct {
	CPUUs            uint64 `json:"cpu_us"`
	MemoryBytes      uint64 `json:"memory_bytes"` // without page cache that can be dropped
	MemoryLimitBytes uint64 `json:"memory_limit_bytes"`
	Processes        uint64 `json:"processes"`
}

// Usage reads what a sandbox of this data root uses. Cgroups have no data root: an id alone may be another server's.
func (h *Host) Usage(id string) (*Usage, error) {
	if err := checkSandboxID(id); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(h.root.sandbox(id)); err != nil {
		return nil, fail(codeMissing, "sandbox %s is not here", id)
	}
	if exists(h.root.tree(id)) {
		var record runtimeRecord
		_ = readRecord(h.root.in(id, "runtime.json"), &record)
		usage := tracedUsage(record)
		return &usage, nil
	}
	usage := h.cgroups.usage(id)
	return &usage, nil
}

func (c cgroups) usage(id string) Usage {
	if c.mode() == "unified" {
		dir := filepath.Join(c.unified, cgroupPath(id))
		return Usage{
			CPUUs:            readKey(filepath.Join(dir, "cpu.stat"), "usage_usec"),
			MemoryBytes:      subtract(readNumber(dir, "memory.current"), readKey(filepath.Join(dir, "memory.stat"), "inactive_file")),
			MemoryLimitBytes: readNumber(dir, "memory.max"),
			Processes:        readNumber(dir, "pids.current"),
		}
	}
	cpu, memory, pids := c.controllerDir(id, "cpuacct"), c.controllerDir(id, "memory"), c.controllerDir(id, "pids")
	return Usage{
		CPUUs:            readNumber(cpu, "cpuacct.usage") / 1000,
		MemoryBytes:      subtract(readNumber(memory, "memory.usage_in_bytes"), readKey(filepath.Join(memory, "memory.stat"), "total_inactive_file")),
		MemoryLimitBytes: readNumber(memory, "memory.limit_in_bytes"),
		Processes:        readNumber(pids, "pids.current"),
	}
}

func (c cgroups) controllerDir(id, controller string) string {
	for _, h := range c.v1 {
		if slices.Contains(h.Controllers, controller) {
			return filepath.Join(h.MountPoint, cgroupPath(id))
		}
	}
	return "/nonexistent"
}

func readNumber(dir, name string) uint64 {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	return n
}

func readKey(path, key string) uint64 {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok && name == key {
			n, _ := strconv.ParseUint(value, 10, 64)
			return n
		}
	}
	return 0
}

func subtract(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}
