package host

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const maxConsoleBytes = 1 << 20

// ConsoleAnswer is the end of what the agent printed.
type ConsoleAnswer struct {
	Text string `json:"text"`
}

// Console reads the last bytes of the agent's output. The file is found through the agent's own descriptor and must be
// the very one that spawn gave it.
func (h *Host) Console(id string, maxBytes int64) (*ConsoleAnswer, error) {
	if err := checkSandboxID(id); err != nil {
		return nil, err
	}
	var record runtimeRecord
	if readRecord(h.root.in(id, "runtime.json"), &record) != nil {
		return &ConsoleAnswer{}, nil
	}
	pidfd := openProcess(record)
	if pidfd < 0 {
		return &ConsoleAnswer{}, nil
	}
	defer unix.Close(pidfd)
	path, size := findConsole(record)
	if path < 0 {
		if again := openProcess(record); again < 0 {
			return &ConsoleAnswer{}, nil // it ended while we looked
		} else {
			unix.Close(again)
		}
		return nil, fail(codeFailed, "the console of %s is not ours any more", id)
	}
	defer unix.Close(path)
	file, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text := make([]byte, min(max(maxBytes, 0), maxConsoleBytes, size))
	n, _ := file.ReadAt(text, size-int64(len(text)))
	return &ConsoleAnswer{Text: string(text[:n])}, nil
}

// findConsole opens the process's descriptor of the console: its output, or under gVisor another one. -1 if it has none.
func findConsole(record runtimeRecord) (path int, size int64) {
	directory := fmt.Sprintf("/proc/%d/fd", record.Pid)
	others, _ := os.ReadDir(directory)
	names := []string{"1"}
	for _, other := range others {
		names = append(names, other.Name())
	}
	for _, name := range names {
		// O_PATH opens nothing yet: were it a FIFO or a device by now, that would have no effect.
		path, err := unix.Open(directory+"/"+name, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Fstat(path, &st) == nil && st.Dev == record.ConsoleDev && st.Ino == record.ConsoleNode && st.Mode&unix.S_IFMT == unix.S_IFREG {
			return path, st.Size
		}
		unix.Close(path)
	}
	return -1, 0
}
