package tree

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// TickUs is one clock tick of /proc in microseconds: 100 per second on every Linux.
const TickUs = 10_000

// Stat is what we read of /proc/<pid>/stat.
type Stat struct {
	PID     int
	State   byte
	Parent  int
	Session int
	// CPUTicks is user and system time in clock ticks (100 per second).
	CPUTicks uint64
	// ReapedTicks is that of children waited for.
	ReapedTicks uint64
	// ResidentPages is resident memory in pages.
	ResidentPages uint64
}

// ParseStat reads one line of /proc/<pid>/stat. The command name in it may hold anything.
func ParseStat(line []byte) (Stat, bool) {
	open := bytes.IndexByte(line, '(')
	end := bytes.LastIndexByte(line, ')')
	if open < 2 || end < open {
		return Stat{}, false
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line[:open])))
	if err != nil || pid <= 0 {
		return Stat{}, false
	}
	f := bytes.Fields(line[end+1:])
	if len(f) < 22 || len(f[0]) != 1 {
		return Stat{}, false
	}
	number := func(i int) uint64 {
		n, err2 := strconv.ParseInt(string(f[i]), 10, 64)
		if err2 != nil {
			err = err2
		}
		return uint64(max(n, 0))
	}
	s := Stat{
		PID: pid, State: f[0][0], Parent: int(number(1)), Session: int(number(3)),
		CPUTicks: number(11) + number(12), ReapedTicks: number(13) + number(14), ResidentPages: number(21),
	}
	return s, err == nil
}

// ReadStat reads a process's line.
func ReadStat(pid int) (Stat, bool) {
	text, err := readAt(unix.AT_FDCWD, "/proc/"+strconv.Itoa(pid)+"/stat", 4096)
	if err != nil {
		return Stat{}, false
	}
	return ParseStat(text)
}

// Name is what the kernel calls a process, at most 15 bytes of the process's own choice; empty when it is gone.
func Name(pid int) string {
	text, err := readAt(unix.AT_FDCWD, "/proc/"+strconv.Itoa(pid)+"/comm", 64)
	if err != nil {
		return ""
	}
	return string(bytes.TrimSuffix(text, []byte("\n")))
}

// All reads the line of every process that the agent can see.
func All() []Stat {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	names, _ := dir.Readdirnames(-1)
	var all []Stat
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if s, ok := ReadStat(pid); ok {
			all = append(all, s)
		}
	}
	return all
}
