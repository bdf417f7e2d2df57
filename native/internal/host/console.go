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
	// O_PATH opens nothing yet: were it a FIFO or a device by now, that would have no effect.
	path, err := unix.Open(fmt.Sprintf("/proc/%d/fd/1", record.Pid), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &ConsoleAnswer{}, nil
	}
	defer unix.Close(path)
	var st unix.Stat_t
	if err := unix.Fstat(path, &st); err != nil {
		return nil, err
	}
	if st.Dev != record.ConsoleDev || st.Ino != record.ConsoleNode || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fail(codeFailed, "the console of %s is not ours any more", id)
	}
	file, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text := make([]byte, min(max(maxBytes, 0), maxConsoleBytes, st.Size))
	n, _ := file.ReadAt(text, st.Size-int64(len(text)))
	return &ConsoleAnswer{Text: string(text[:n])}, nil
}
