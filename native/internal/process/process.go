package process

import (
	"context"
	"crypto/rand"
	"os"
	"sync"
	"syscall"
	"time"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/output"
	"stacyvm/native/internal/tree"
)

// State is a process's place in its life. The numbers are those of the wire.
type State int

const (
	Running State = 1
	// Background: the leader has exited, descendants live on.
	Background State = 2
	Exited     State = 3
)

// killGrace is how long a killed leader may take to be reaped before its end is told without it.
const killGrace = 200 * time.Millisecond

// Process is a program that was started, and after its end what is remembered of it.
type Process struct {
	ID   string
	PID  int
	Spec Spec
	// Cwd and User are what the request's became.
	Cwd     string
	User    string
	Started time.Time
	Ring    *output.Ring
	// Primary is the reader asked for by the spec, else nil.
	Primary *output.Reader

	table  *Table
	tree   tree.Tree
	pumps  []*pump
	input  *input
	master *os.File
	status chan syscall.WaitStatus
	exited chan struct{}
	over   chan struct{}

	mu       sync.Mutex
	state    State
	killed   bool
	timedOut bool
	seen     uint64
	kept     uint64
	exit     *Exit
	ended    time.Time
}

func newProcess(table *Table, spec Spec) *Process {
	p := &Process{
		ID: rand.Text(), Spec: spec, Started: time.Now(), Ring: output.NewRing(table.limits.RingBytes),
		table: table, state: Running,
		status: make(chan syscall.WaitStatus, 1), exited: make(chan struct{}), over: make(chan struct{}),
	}
	p.Ring.Recycle(giveBuffer)
	if spec.ID != "" {
		p.ID = spec.ID
	}
	if spec.Primary {
		p.Primary = p.Ring.Primary()
	}
	p.Spec.Stdin = nil
	return p
}

// Exited is closed when the leader's end is known and all output before it is in the ring.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Over is closed when the leader and all its descendants have ended.
func (p *Process) Over() <-chan struct{} { return p.over }

// Exit is how the leader ended; nil while it runs.
func (p *Process) Exit() *Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit
}

// State returns where the process is in its life, and when that life ended.
func (p *Process) State() (State, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state, p.ended
}

// Argv is the command line; after the end what is kept of it. It must not be changed.
func (p *Process) Argv() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Spec.Argv
}

// Env is what the spec gave; nil after the end. It must not be changed.
func (p *Process) Env() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Spec.Env
}

// Tree is everything that descends from the leader; nil for a command that never started.
func (p *Process) Tree() tree.Tree { return p.tree }

// Write queues bytes for stdin or the terminal.
func (p *Process) Write(ctx context.Context, data []byte) error {
	if p.input == nil {
		return fault.New(fault.Precondition, "stdin is closed")
	}
	return p.input.write(ctx, data)
}

// CloseStdin ends stdin after what is queued.
func (p *Process) CloseStdin() error {
	if p.master != nil {
		return fault.New(fault.Precondition, "a pty's stdin can't be closed; write ^D (byte 4)")
	}
	if p.input != nil {
		p.input.close()
	}
	return nil
}

// StdinOpen says whether Write has an effect.
func (p *Process) StdinOpen() bool { return p.input != nil && p.input.open() }

// Resize sets the terminal's size.
func (p *Process) Resize(size Size) error {
	if p.master == nil {
		return fault.New(fault.Precondition, "process has no pty")
	}
	if size.Cols == 0 || size.Rows == 0 {
		return fault.New(fault.Invalid, "pty needs cols and rows from 1 to 65535")
	}
	return setSize(p.master, size)
}

// Signal reaches the leader, or with whole every descendant too.
func (p *Process) Signal(signal syscall.Signal, whole bool) error {
	if signal < 1 || signal > 64 {
		return fault.New(fault.Invalid, "signal must be from 1 to 64")
	}
	if state, _ := p.State(); state == Exited {
		return fault.New(fault.Precondition, "process has ended")
	}
	if whole && signal == syscall.SIGKILL {
		p.tree.Kill()
		return nil
	}
	if whole {
		p.tree.Signal(signal)
		return nil
	}
	return p.table.signalLeader(p, signal)
}

// Kill ends the whole tree now.
func (p *Process) Kill() { p.end(false) }

func (p *Process) end(timedOut bool) {
	p.mu.Lock()
	if p.state == Exited || p.killed || timedOut && p.exit != nil {
		p.mu.Unlock()
		return
	}
	p.killed, p.timedOut = true, timedOut
	p.mu.Unlock()
	p.Ring.Hurry()
	p.tree.Kill()
	if p.Exit() != nil {
		p.table.recheck()
		return
	}
	time.AfterFunc(killGrace, func() {
		// A leader that can't die (in the kernel, uninterruptible) must not hold back the answer.
		select {
		case p.status <- syscall.WaitStatus(syscall.SIGKILL):
		default:
		}
	})
}

// keep counts output and says how much of it is within the process's own bound.
func (p *Process) keep(data []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen += uint64(len(data))
	n := uint64(len(data))
	if limit := p.Spec.MaxOutputBytes; limit > 0 {
		n = min(n, limit-p.kept)
	}
	p.kept += n
	return int(n)
}
