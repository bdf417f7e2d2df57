package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// causeTimeout bounds how long the kernel is asked how a process ended: between its end and its reaping it may not tell.
const causeTimeout = 100 * time.Millisecond

// endings waits for the ends of sandboxes' first processes, one descriptor each, and remembers how they came about.
type endings struct {
	mutex   sync.Mutex
	watched map[string]*ending
	told    func(id string) // called once for each end that nobody asked for; may be nil
}

type ending struct {
	record runtimeRecord
	pidfd  *os.File
	cause  string // empty while it runs, and where the kernel doesn't tell
}

// tell sets who is told of ends from now on.
func (e *endings) tell(told func(id string)) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.told = told
}

// watch begins to wait for the end of the recorded process, unless that is done or it has ended.
func (e *endings) watch(id string, record runtimeRecord) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if one := e.watched[id]; one != nil && one.record == record {
		return
	}
	fd := openProcess(record)
	if fd < 0 {
		return
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the wait takes no thread
		unix.Close(fd)
		return
	}
	one := &ending{record: record, pidfd: os.NewFile(uintptr(fd), "pidfd")}
	if old := e.watched[id]; old != nil {
		go old.pidfd.Close() // waits for whoever asks the kernel about it
	}
	if e.watched == nil {
		e.watched = map[string]*ending{}
	}
	e.watched[id] = one
	go e.await(id, one)
}

func (e *endings) await(id string, one *ending) {
	conn, err := one.pidfd.SyscallConn()
	if err != nil {
		return
	}
	var cause string
	err = conn.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, _ := unix.Poll(fds, 0); n == 0 {
			return false
		}
		cause = endCause(int(fd), one.record)
		return true
	})
	if err != nil {
		return // forgotten meanwhile
	}
	e.mutex.Lock()
	one.cause = cause
	told := e.told
	if e.watched[id] != one {
		told = nil
	}
	e.mutex.Unlock()
	if told != nil {
		told(id)
	}
}

// forget ends the wait: from here on the sandbox's end is wanted.
func (e *endings) forget(id string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if one := e.watched[id]; one != nil {
		go one.pidfd.Close() // waits for whoever asks the kernel about it
		delete(e.watched, id)
	}
}

func (e *endings) cause(id string, record runtimeRecord) string {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if one := e.watched[id]; one != nil && one.record == record {
		return one.cause
	}
	return ""
}

// endCause asks the kernel how the recorded process ended: before it is reaped any kernel tells, afterwards one since 6.15.
func endCause(pidfd int, record runtimeRecord) string {
	ctx, cancel := context.WithTimeout(context.Background(), causeTimeout)
	defer cancel()
	var status unix.WaitStatus
	told := eventually(ctx, func() bool {
		zombie, ok := zombieStatus(record)
		if ok {
			status = zombie
			return true
		}
		info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
		ok = unix.IoctlPidfdInfo(pidfd, &info) == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0
		status = unix.WaitStatus(info.Exit_code)
		return ok
	})
	switch {
	case !told:
		return ""
	case status.Signaled():
		return "killed by " + unix.SignalName(status.Signal())
	}
	return fmt.Sprintf("exit code %d", status.ExitStatus())
}

// endedBy says what is known of an end: how the first process went, and whether the kernel killed for memory.
func (h *Host) endedBy(id string, record runtimeRecord) string {
	cause := h.endings.cause(id, record)
	killed := h.cgroups.memoryKills(id)
	if killed == 0 {
		return cause
	}
	if cause != "" {
		cause += "; "
	}
	return fmt.Sprintf("%sthe kernel killed %d of its processes for want of memory", cause, killed)
}

// memoryKills counts what the kernel has killed in the sandbox because its memory was full.
func (c cgroups) memoryKills(id string) uint64 {
	if c.mode() == "unified" {
		return readKey(filepath.Join(c.unified, cgroupPath(id), "memory.events"), "oom_kill")
	}
	return readKey(filepath.Join(c.controllerDir(id, "memory"), "memory.oom_control"), "oom_kill")
}
