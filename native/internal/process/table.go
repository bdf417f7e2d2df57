package process

import (
	"sort"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/account"
	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/tree"
)

// Options of a table.
type Options struct {
	Limits   bound.Limits
	Forest   tree.Forest
	Accounts *account.Database
	// DefaultUser and DefaultCwd apply where a spec names none.
	DefaultUser string
	DefaultCwd  string
	// ForkExec starts programs; nil is syscall's.
	ForkExec func(program string, argv []string, attr *syscall.ProcAttr) (pid int, err error)
	// Used is called whenever a process has ended; nil does nothing.
	Used func()
}

// Table holds every process that the agent started.
type Table struct {
	limits   bound.Limits
	forest   tree.Forest
	accounts *account.Database
	used     func()
	// forkExec as in Options.
	forkExec func(program string, argv []string, attr *syscall.ProcAttr) (pid int, err error)
	// noGroups: the user namespace forbids setgroups.
	noGroups bool

	// starting is held from fork to registration, and for each wait: so no child is reaped before it is known.
	starting sync.Mutex
	leaders  map[int]*Process

	mu         sync.Mutex
	defaults   Defaults
	all        map[string]*Process
	claimed    map[string]bool
	live       int
	background map[*Process]bool
	finished   []*Process
	forget     *time.Timer
	closed     bool
	orphans    chan struct{}
}

// Defaults apply where a spec says nothing.
type Defaults struct {
	User string
	Cwd  string
	Env  map[string]string
}

// NewTable makes a table and starts reaping every child of this program.
func NewTable(o Options) *Table {
	t := &Table{
		limits: o.Limits, forest: o.Forest, accounts: o.Accounts,
		leaders: map[int]*Process{}, all: map[string]*Process{}, claimed: map[string]bool{}, background: map[*Process]bool{},
		defaults: Defaults{User: o.DefaultUser, Cwd: o.DefaultCwd},
		orphans:  make(chan struct{}, 1),
		used:     o.Used, forkExec: o.ForkExec,
	}
	if t.forkExec == nil {
		t.forkExec = syscall.ForkExec
	}
	if t.used == nil {
		t.used = func() {}
	}
	if groups, err := unix.Getgroups(); err == nil {
		t.noGroups = unix.Setgroups(groups) != nil
	}
	t.startReaping()
	return t
}

// Defaults returns what applies now; the map must not be changed.
func (t *Table) Defaults() Defaults {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.defaults
}

// SetDefaults replaces what applies.
func (t *Table) SetDefaults(d Defaults) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.defaults = d
}

// TreeKill is how surely trees end: "cgroup" or "best-effort".
func (t *Table) TreeKill() string { return t.forest.Kind() }

// Get finds a process by its id.
func (t *Table) Get(id string) (*Process, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.all[id]; p != nil {
		return p, nil
	}
	return nil, fault.New(fault.NotFound, "process %q does not exist", id)
}

// Find returns the newest process, living ones first, for which is holds.
func (t *Table) Find(is func(*Process) bool) (*Process, bool) {
	var found *Process
	for _, p := range t.List() {
		if !is(p) {
			continue
		}
		if state, _ := p.State(); state != Exited || found == nil || over(found) {
			found = p
		}
	}
	return found, found != nil
}

func over(p *Process) bool {
	state, _ := p.State()
	return state == Exited
}

// List returns every process known, oldest first.
func (t *Table) List() []*Process {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*Process, 0, len(t.all))
	for _, p := range t.all {
		list = append(list, p)
	}
	sort.Slice(list, func(i, j int) bool {
		if !list[i].Started.Equal(list[j].Started) {
			return list[i].Started.Before(list[j].Started)
		}
		return list[i].ID < list[j].ID
	})
	return list
}

// Shutdown refuses new processes and kills those that live; it returns when they ended or grace is over.
func (t *Table) Shutdown(grace time.Duration) {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	end := time.After(grace)
	for _, p := range t.List() {
		if !over(p) {
			p.Kill()
		}
	}
	for _, p := range t.List() {
		select {
		case <-p.Over():
		case <-end:
			return
		}
	}
}

func (t *Table) reserve(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return fault.New(fault.Unavailable, "the sandbox is shutting down")
	}
	if t.live >= t.limits.Processes {
		return fault.Exceeds("processes", t.limits.Processes)
	}
	if id != "" {
		if t.all[id] != nil || t.claimed[id] {
			return fault.New(fault.Exists, "process %q exists already", id)
		}
		t.claimed[id] = true
	}
	t.live++
	return nil
}

func (t *Table) unreserve(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.claimed, id)
	t.live--
}

func (t *Table) add(p *Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.claimed, p.ID)
	t.all[p.ID] = p
}

func (t *Table) signalLeader(p *Process, signal syscall.Signal) error {
	t.starting.Lock()
	defer t.starting.Unlock()
	if t.leaders[p.PID] != p {
		return fault.New(fault.Precondition, "the leader has exited")
	}
	return fault.At("signal", syscall.Kill(p.PID, signal))
}
