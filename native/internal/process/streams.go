package process

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// streams are both ends of what connects the agent to a child. The agent's ends never block.
type streams struct {
	master, stdin, stdout, stderr *os.File
	// in, out and err are the child's; a terminal is all three.
	in, out, err int
	// opened are those of them that are this child's alone.
	opened []int
}

func (p *Process) openStreams(uid uint32, feed bool) (*streams, error) {
	s := &streams{}
	var err error
	if p.Spec.Pty != nil {
		s.master, s.in, err = openPty(*p.Spec.Pty, uid)
		s.out, s.err = s.in, s.in
		return s.own(err, s.in)
	}
	if feed || p.Spec.StdinOpen {
		s.in, s.stdin, err = pipeFrom()
		_, err = s.own(err, s.in)
	} else {
		err = s.openNull()
	}
	if err == nil {
		s.stdout, s.out, err = pipeTo()
		_, err = s.own(err, s.out)
	}
	if err == nil {
		s.stderr, s.err, err = pipeTo()
		_, err = s.own(err, s.err)
	}
	return s, err
}

func (s *streams) own(err error, fd int) (*streams, error) {
	if err == nil {
		s.opened = append(s.opened, fd)
	}
	return s, err
}

// null is /dev/null, opened once.
var null struct {
	sync.Mutex
	fd   int
	open bool
}

// openNull gives an empty stdin also where there is no /dev: the read end of a pipe that nobody writes.
func (s *streams) openNull() error {
	null.Lock()
	defer null.Unlock()
	if !null.open {
		null.fd, null.open = findNull()
	}
	if null.open {
		s.in = null.fd
		return nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	_ = unix.Close(fds[1])
	s.in = fds[0]
	s.opened = append(s.opened, s.in)
	return nil
}

func findNull() (fd int, found bool) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, false
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || unix.SetNonblock(fd, false) != nil {
		_ = unix.Close(fd)
		return -1, false
	}
	return fd, true
}

// pipeTo makes a pipe that the agent reads and the child writes, pipeFrom one the other way round.
func pipeTo() (agent *os.File, child int, err error) { return pipe(0) }

func pipeFrom() (child int, agent *os.File, err error) {
	agent, child, err = pipe(1)
	return child, agent, err
}

// pipe makes one of which only the agent's end is non-blocking.
func pipe(own int) (agent *os.File, child int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, -1, err
	}
	// A new pipe has no other flags.
	if _, err := unix.FcntlInt(uintptr(fds[own]), unix.F_SETFL, unix.O_NONBLOCK); err != nil {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
		return nil, -1, err
	}
	return os.NewFile(uintptr(fds[own]), "pipe"), fds[1-own], nil
}

func (s *streams) child() []uintptr { return []uintptr{uintptr(s.in), uintptr(s.out), uintptr(s.err)} }

func (s *streams) closeChild() {
	for _, fd := range s.opened {
		_ = unix.Close(fd)
	}
}

func (s *streams) closeParent() {
	for _, f := range []*os.File{s.master, s.stdin, s.stdout, s.stderr} {
		if f != nil {
			_ = f.Close()
		}
	}
}
