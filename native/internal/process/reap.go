package process

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// recheckPause bounds how often the trees of background processes are looked at.
const recheckPause = 5 * time.Millisecond

func (t *Table) startReaping() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	dead := make(chan os.Signal, 1)
	signal.Notify(dead, syscall.SIGCHLD)
	go func() {
		for range dead {
			t.reap()
		}
	}()
	go func() {
		for range t.orphans {
			t.checkBackground()
			time.Sleep(recheckPause)
		}
	}()
}

// reap collects every child that is dead now, the agent's own and those that fell to it.
func (t *Table) reap() {
	for {
		var status syscall.WaitStatus
		t.starting.Lock()
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG|syscall.WALL, nil)
		if err == syscall.EINTR {
			t.starting.Unlock()
			continue
		}
		if pid <= 0 {
			t.starting.Unlock()
			return
		}
		p := t.leaders[pid]
		delete(t.leaders, pid)
		t.starting.Unlock()
		if p == nil {
			t.recheck()
			continue
		}
		select {
		case p.status <- status:
		default:
		}
	}
}

// recheck has the background processes looked at: one of them may have lost its last descendant.
func (t *Table) recheck() {
	select {
	case t.orphans <- struct{}{}:
	default:
	}
}

func (t *Table) toBackground(p *Process, tell func()) {
	tell()
	t.mu.Lock()
	t.background[p] = true
	t.mu.Unlock()
	t.recheck()
}

func (t *Table) checkBackground() {
	t.mu.Lock()
	var waiting []*Process
	for p := range t.background {
		waiting = append(waiting, p)
	}
	t.mu.Unlock()
	for _, p := range waiting {
		if !p.tree.Alive() {
			p.conclude()
		}
	}
	t.forest.Sweep()
}
