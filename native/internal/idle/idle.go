// Package idle gives memory back to the host once the agent has nothing to do.
package idle

import (
	"bufio"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// collectAfter is how long nothing must have happened before the heap's free memory goes back to the host.
	collectAfter = 500 * time.Millisecond
	// letGoAfter is that for the program's pages: an exec after it waits a millisecond for those that it needs.
	letGoAfter = 5 * time.Second
)

// Memory knows what can be given back, and when.
type Memory struct {
	program []mapping
	collect *time.Timer
	letGo   *time.Timer
}

type mapping struct{ start, end uintptr }

// Find looks at the program's own mappings; to be called while the agent may still read its /proc entry. Without /proc
// the program stays mapped.
func Find() *Memory {
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		return &Memory{}
	}
	defer func() { _ = file.Close() }()
	return &Memory{program: unchanged(bufio.NewScanner(file))}
}

// unchanged lists the mappings of the program's file that can't be written and hold nothing but the file's own bytes.
func unchanged(lines *bufio.Scanner) (found []mapping) {
	var candidate mapping
	var program string
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) >= 5 && strings.Contains(fields[0], "-") {
			candidate = mapping{}
			if len(fields) < 6 || fields[4] == "0" {
				continue
			}
			if program == "" {
				program = fields[5]
			}
			if fields[5] == program && (fields[1] == "r-xp" || fields[1] == "r--p") {
				candidate = parse(fields[0])
			}
		}
		if len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" && candidate.end > 0 {
			found = append(found, candidate)
		}
	}
	return found
}

func parse(span string) mapping {
	low, high, _ := strings.Cut(span, "-")
	start, err := strconv.ParseUint(low, 16, 64)
	end, err2 := strconv.ParseUint(high, 16, 64)
	if err != nil || err2 != nil {
		return mapping{}
	}
	return mapping{uintptr(start), uintptr(end)}
}

// Start begins to give back, first what only the start has needed.
func (m *Memory) Start() {
	m.collect = time.AfterFunc(collectAfter, collect)
	m.letGo = time.AfterFunc(2*collectAfter, m.letGoOfProgram)
}

// Used says that something has happened just now.
func (m *Memory) Used() {
	m.collect.Reset(collectAfter)
	m.letGo.Reset(letGoAfter)
}

// collect collects twice: pools let go of what they hold only at the second collection after its last use.
func collect() {
	runtime.GC()
	debug.FreeOSMemory()
}

// letGoOfProgram unmaps the program's pages: nearly all of them were mapped by what runs once, or because they lie beside
// others. Those that are needed come back from the page cache at their next use.
func (m *Memory) letGoOfProgram() {
	for _, p := range m.program {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, p.start, p.end-p.start, unix.MADV_DONTNEED)
	}
}
