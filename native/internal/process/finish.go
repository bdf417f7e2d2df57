package process

import (
	"syscall"
	"time"
)

// run waits for the leader's end and tells it after all output that came before.
func (p *Process) run() {
	for _, pump := range p.pumps {
		go pump.run()
	}
	if p.Spec.Timeout > 0 {
		timer := time.AfterFunc(p.Spec.Timeout, func() { p.end(true) })
		defer timer.Stop()
	}
	status := <-p.status
	for _, pump := range p.pumps {
		pump.leaderExited()
	}
	for _, pump := range p.pumps {
		p.await(pump.settled)
	}
	p.mu.Lock()
	killed, timedOut := p.killed, p.timedOut
	p.mu.Unlock()
	alive := !killed && p.tree.Alive()
	exit := &Exit{Duration: time.Since(p.Started), TimedOut: timedOut, Background: alive}
	exit.Code, exit.Signal = codeOf(status)
	if timedOut {
		exit.Code, exit.Signal = 128+int(syscall.SIGKILL), int(syscall.SIGKILL)
	}
	if alive {
		p.table.toBackground(p, func() { p.tell(exit, Background) })
		return
	}
	p.release()
	p.tell(exit, Exited)
	p.table.ended(p)
}

// await waits for a pump that has to read what the pipe holds. Once the process is being killed it waits no longer
// than the grace: whoever still holds the pipe must not hold back the exit.
func (p *Process) await(settled <-chan struct{}) {
	for {
		select {
		case <-settled:
			return
		case <-time.After(killGrace):
		}
		p.mu.Lock()
		killed := p.killed
		p.mu.Unlock()
		if killed {
			return
		}
	}
}

func (p *Process) tell(exit *Exit, state State) {
	p.mu.Lock()
	exit.OutputBytes, exit.Truncated = p.seen, p.seen > p.kept
	p.exit, p.state = exit, state
	if state == Exited {
		p.ended = time.Now()
	}
	p.mu.Unlock()
	p.Ring.Mark()
	if state == Exited {
		p.Ring.Close()
		close(p.over)
	}
	close(p.exited)
}

// conclude ends a background process after its last descendant.
func (p *Process) conclude() {
	p.release()
	p.mu.Lock()
	p.state, p.ended = Exited, time.Now()
	p.mu.Unlock()
	p.Ring.Close()
	close(p.over)
	p.table.ended(p)
}

func (p *Process) release() {
	for _, pump := range p.pumps {
		select {
		case <-pump.ended:
			continue
		default:
		}
		// Nobody of the tree lives: what is in the pipe now is all that counts.
		pump.leaderExited()
		select {
		case <-pump.ended:
		case <-time.After(time.Millisecond):
		}
		_ = pump.file.Close()
	}
	if p.input != nil {
		p.input.abandon()
	}
	p.tree.Remove()
	p.table.forest.Sweep()
}

func codeOf(status syscall.WaitStatus) (code, signal int) {
	if status.Signaled() {
		return 128 + int(status.Signal()), int(status.Signal())
	}
	return status.ExitStatus(), 0
}
