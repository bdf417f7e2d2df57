package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// streams are both ends of what connects the agent to a child. The agent's ends never block.
type streams struct {
	master, stdin, stdout, stderr *os.File
	in, out, err                  *os.File
}

func (p *Process) openStreams(uid uint32, feed bool) (*streams, error) {
	s := &streams{}
	var err error
	if p.Spec.Pty != nil {
		s.master, s.in, err = openPty(*p.Spec.Pty, uid)
		return s, err
	}
	if feed || p.Spec.StdinOpen {
		s.in, s.stdin, err = pipe(false)
	} else {
		s.in, err = openNull()
	}
	if err == nil {
		s.stdout, s.out, err = pipe(true)
	}
	if err == nil {
		s.stderr, s.err, err = pipe(true)
	}
	return s, err
}

// openNull gives an empty stdin also where there is no /dev: the read end of a pipe that nobody writes.
func openNull() (*os.File, error) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	var st unix.Stat_t
	if err == nil {
		if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR {
			return os.NewFile(uintptr(fd), "null"), nil
		}
		_ = unix.Close(fd)
	}
	r, w, err := pipe(true)
	if err != nil {
		return nil, err
	}
	_ = w.Close()
	raw, err := r.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetNonblock(int(fd), false) })
	}
	return r, err
}

// pipe makes a pipe of which only the agent's end is non-blocking.
func pipe(agentReads bool) (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	own := fds[1]
	if agentReads {
		own = fds[0]
	}
	if err := unix.SetNonblock(own, true); err != nil {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}

func (s *streams) child() []uintptr {
	if s.master != nil {
		tty := s.in.Fd()
		return []uintptr{tty, tty, tty}
	}
	return []uintptr{s.in.Fd(), s.out.Fd(), s.err.Fd()}
}

func (s *streams) closeChild() { closeAll(s.in, s.out, s.err) }

func (s *streams) closeParent() { closeAll(s.master, s.stdin, s.stdout, s.stderr) }

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}
