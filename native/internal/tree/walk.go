package tree

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Without a cgroup a tree's members are told by three traces: their parent, their session, and a mark that children
// inherit and can only raise: the OOM score adjustment. One value of it is given to one living tree.
const (
	lowestMark  = 500
	highestMark = 1000
)

// maxRounds bounds the repeated walks of one kill.
const maxRounds = 20

type walks struct {
	ownScore int
	original []byte

	mu   sync.Mutex
	used [highestMark - lowestMark + 1]bool
	next int
}

// OwnScore opens the agent's own OOM score adjustment; to be called while the agent is still dumpable, as the file
// belongs to the host's root afterwards. -1 where it can't be opened.
func OwnScore() int {
	fd, err := unix.Open("/proc/self/oom_score_adj", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// Walks is the forest for hosts without a cgroup to hand over. ownScore is what OwnScore gave.
func Walks(ownScore int) Forest {
	f := &walks{ownScore: -1}
	buf := make([]byte, 16)
	if ownScore >= 0 {
		n, err := unix.Pread(ownScore, buf, 0)
		if err == nil && mayReturn(ownScore, buf[:n]) {
			f.ownScore, f.original = ownScore, buf[:n]
		}
	}
	return f
}

// mayReturn tries with one step whether the agent may raise its score and go back.
func mayReturn(fd int, original []byte) bool {
	n, err := strconv.Atoi(strings.TrimSpace(string(original)))
	if err != nil || n >= lowestMark {
		return false
	}
	if _, err = unix.Pwrite(fd, strconv.AppendInt(nil, int64(n+1), 10), 0); err == nil {
		_, err = unix.Pwrite(fd, original, 0)
	}
	return err == nil
}

func (f *walks) Kind() string { return "best-effort" }
func (f *walks) Sweep()       {}

func (f *walks) Plant(*syscall.SysProcAttr) (Tree, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range f.used {
		f.next = (f.next + 1) % len(f.used)
		if !f.used[f.next] {
			f.used[f.next] = true
			return &walk{forest: f, slot: f.next, sessions: map[int]bool{}}, nil
		}
	}
	return nil, syscall.EAGAIN
}

type walk struct {
	forest *walks
	slot   int

	mu       sync.Mutex
	leader   int
	gone     bool
	marked   bool // from its birth on
	sessions map[int]bool
}

func (w *walk) Attach(leader int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leader = leader
	w.sessions[leader] = true
	if !w.marked {
		mark(leader, lowestMark+w.slot)
	}
}

// Brace lets the agent carry the mark while it forks: a child that forks at once has it already. Going back to the
// original needs no privilege, as nothing privileged raised it.
func (w *walk) Brace() func() {
	if w.forest.ownScore < 0 {
		return func() {}
	}
	_, err := unix.Pwrite(w.forest.ownScore, strconv.AppendInt(nil, int64(lowestMark+w.slot), 10), 0)
	w.marked = err == nil
	return func() { _, _ = unix.Pwrite(w.forest.ownScore, w.forest.original, 0) }
}

// mark makes a process the kernel's preferred victim when memory runs out, ahead of the agent.
func mark(pid, score int) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_, _ = unix.Write(fd, strconv.AppendInt(nil, int64(score), 10))
	_ = unix.Close(fd)
}

func (w *walk) Pids() []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return nil
	}
	all := All()
	member := map[int]bool{}
	own := os.Getpid()
	for grown := true; grown; {
		grown = false
		for _, s := range all {
			if member[s.PID] || s.PID == own {
				continue
			}
			if s.PID == w.leader || member[s.Parent] || w.sessions[s.Session] || score(s.PID) == lowestMark+w.slot {
				member[s.PID], grown = true, true
				if s.Session != own && s.Session == s.PID {
					w.sessions[s.Session] = true
				}
			}
		}
	}
	var pids []int
	for _, s := range all {
		if member[s.PID] && s.State != 'Z' && s.State != 'X' {
			pids = append(pids, s.PID)
		}
	}
	return pids
}

func score(pid int) int {
	text, err := readAt(unix.AT_FDCWD, "/proc/"+strconv.Itoa(pid)+"/oom_score_adj", 16)
	if err != nil {
		return 0
	}
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// Kill stops what it finds before it kills, so that a fork bomb can't outrun it, and walks until nothing is left.
func (w *walk) Kill() {
	for range maxRounds {
		pids := w.Pids()
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGSTOP)
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(time.Millisecond)
	}
}

func (w *walk) Signal(signal syscall.Signal) {
	for _, pid := range w.Pids() {
		_ = unix.Kill(pid, signal)
	}
}

func (w *walk) Alive() bool {
	if childless() {
		return false
	}
	return len(w.Pids()) > 0
}

// childless says whether the agent, to which every orphan falls, has no child at all.
func childless() bool {
	return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) == unix.ECHILD
}

func (w *walk) Remove() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return
	}
	w.gone = true
	w.forest.mu.Lock()
	w.forest.used[w.slot] = false
	w.forest.mu.Unlock()
}
