package process

import (
	"errors"
	"os"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/account"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/output"
	"stacyvm/native/internal/path"
	"stacyvm/native/internal/tree"
)

// Start starts a program. A command that can't be found or executed is no error: it ends with 127 or 126 and a line
// on stderr, as in a shell.
func (t *Table) Start(spec Spec) (*Process, error) {
	if err := spec.check(&t.limits); err != nil {
		return nil, err
	}
	if err := t.reserve(spec.ID); err != nil {
		return nil, err
	}
	p, err := t.start(spec)
	if err != nil {
		t.unreserve(spec.ID)
	}
	return p, err
}

func (t *Table) start(spec Spec) (*Process, error) {
	defaults := t.Defaults()
	if spec.User == "" {
		spec.User = defaults.User
	}
	identity, err := t.accounts.Resolve(spec.User)
	if err != nil {
		return nil, err
	}
	cwd, dir, err := openCwd(spec.Cwd, defaults.Cwd)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(dir) }()
	env := environ(identity.User, cwd, spec.Pty != nil, defaults.Env, spec.Env)
	program, failure := lookup(spec.Argv[0], cwd, env["PATH"])
	p := newProcess(t, spec)
	p.Cwd, p.User = cwd, identity.User.Name
	if failure == nil {
		failure, err = t.launch(p, launch{program: program, env: flatten(env), dir: dir, identity: identity, stdin: spec.Stdin})
	}
	if err != nil {
		return nil, err
	}
	t.add(p)
	if failure != nil {
		p.fail(failure)
		return p, nil
	}
	go p.run()
	return p, nil
}

func openCwd(asked, fallback string) (string, int, error) {
	wanted := asked
	if wanted == "" {
		wanted = fallback
	}
	fd, full, err := path.Directory(wanted)
	if err == nil {
		return full, fd, nil
	}
	if asked == "" && wanted != "/" {
		return openCwd("", "/")
	}
	return "", -1, &fault.Error{Kind: fault.Invalid, Message: "cwd " + err.Error(), Cause: err}
}

type launch struct {
	program  string
	env      []string
	dir      int
	identity account.Identity
	stdin    []byte
}

func (t *Table) launch(p *Process, l launch) (*notStarted, error) {
	files, err := p.openStreams(l.identity.User.UID, len(l.stdin) > 0)
	defer files.closeChild()
	if err != nil {
		files.closeParent()
		return nil, fault.At("streams", err)
	}
	attr := &syscall.SysProcAttr{Setsid: true, Setctty: p.Spec.Pty != nil, Credential: t.credential(l.identity)}
	grown, err := t.forest.Plant(attr)
	if err != nil {
		files.closeParent()
		return nil, fault.At("process tree", err)
	}
	pid, err := t.fork(p, l, grown, &syscall.ProcAttr{Env: l.env, Files: files.child(), Sys: attr})
	if err != nil {
		files.closeParent()
		grown.Remove()
		return refused(p.Spec.Argv[0], err)
	}
	p.PID, p.tree = pid, grown
	p.master = files.master
	if files.master != nil {
		p.pumps = []*pump{newPump(files.master, output.Pty, p.Ring, p.keep)}
		p.input = &input{file: files.master, terminal: true, max: t.limits.StdinBytes}
	} else {
		p.pumps = []*pump{
			newPump(files.stdout, output.Stdout, p.Ring, p.keep), newPump(files.stderr, output.Stderr, p.Ring, p.keep),
		}
		if files.stdin != nil {
			p.input = &input{file: files.stdin, max: t.limits.StdinBytes}
		}
	}
	if p.input != nil {
		p.input.mu.Lock()
		if len(l.stdin) > 0 {
			p.input.push(l.stdin)
		}
		p.input.mu.Unlock()
		if !p.Spec.StdinOpen && p.master == nil {
			p.input.close()
		}
	}
	return nil, nil
}

// fork runs with the working directory of the whole agent changed: the child then needs no path to reach it, and the
// sandbox can't swap a link under it. Nothing else in the agent uses relative paths.
func (t *Table) fork(p *Process, l launch, grown tree.Tree, attr *syscall.ProcAttr) (int, error) {
	t.starting.Lock()
	defer t.starting.Unlock()
	if err := unix.Fchdir(l.dir); err != nil {
		return 0, fault.At("cwd "+p.Cwd, err)
	}
	release := grown.Brace()
	pid, err := t.forkExec(l.program, p.Spec.Argv, attr)
	release()
	_ = unix.Chdir("/")
	if err != nil {
		return 0, err
	}
	t.leaders[pid] = p
	grown.Attach(pid)
	return pid, nil
}

func refused(argv0 string, err error) (*notStarted, error) {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return nil, err
	case errors.Is(err, unix.ENOENT):
		return &notStarted{127, argv0 + ": no such file or directory\n"}, nil
	case errors.Is(err, unix.EACCES):
		return &notStarted{126, argv0 + ": permission denied\n"}, nil
	case errors.Is(err, unix.ENOEXEC), errors.Is(err, unix.ETXTBSY), errors.Is(err, unix.ELOOP), errors.Is(err, unix.ELIBBAD):
		return &notStarted{126, argv0 + ": " + err.Error() + "\n"}, nil
	case errors.Is(err, unix.E2BIG):
		return nil, fault.New(fault.Invalid, "argv and env together are too long for the kernel")
	}
	return nil, fault.At("start "+argv0, err)
}

// fail makes the process one that ended before it began.
func (p *Process) fail(f *notStarted) {
	stream := output.Stderr
	if p.Spec.Pty != nil {
		stream = output.Pty
	}
	p.Ring.Append(stream, []byte(f.message), false)
	p.keep([]byte(f.message))
	p.tell(&Exit{Code: f.code}, Exited)
	p.table.ended(p)
}

func (t *Table) credential(identity account.Identity) *syscall.Credential {
	u, own := identity.User, ownIdentity()
	if own.uid != 0 || u.UID == 0 && u.GID == own.gid && sameSet(own.groups, identity.Groups) {
		return nil
	}
	return &syscall.Credential{Uid: u.UID, Gid: u.GID, Groups: identity.Groups, NoSetGroups: t.noGroups}
}

type ownIDs struct {
	uid, gid uint32
	groups   []uint32 // gid among them
}

// ownIdentity is the agent's own, which never changes.
var ownIdentity = sync.OnceValue(func() ownIDs {
	own := ownIDs{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	own.groups = []uint32{own.gid}
	groups, _ := os.Getgroups()
	for _, g := range groups {
		own.groups = append(own.groups, uint32(g))
	}
	slices.Sort(own.groups)
	own.groups = slices.Compact(own.groups)
	return own
})

// sameSet compares with a set that is in order.
func sameSet(a, b []uint32) bool {
	b = slices.Clone(b)
	slices.Sort(b)
	return slices.Equal(a, slices.Compact(b))
}
