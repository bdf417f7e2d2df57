package main

import (
	"net"
	"os"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/attached"
)

// stdioPipeBytes is what the engine's pipes are grown to where the kernel lets them.
const stdioPipeBytes = 256 << 10

// takeStdio moves stdin and stdout to descriptors that no program inherits. In their place stand an empty input and
// stderr: what the agent or a library prints by mistake goes to the console and never between frames.
func takeStdio() (in, out *os.File, err error) {
	var taken [2]*os.File
	for fd, name := range []string{"stdin", "stdout"} {
		moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return nil, nil, err
		}
		_, _ = unix.FcntlInt(uintptr(moved), unix.F_SETPIPE_SZ, stdioPipeBytes)
		taken[fd] = os.NewFile(uintptr(moved), name)
	}
	var empty [2]int
	if err := unix.Pipe2(empty[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	defer func() { _, _ = unix.Close(empty[0]), unix.Close(empty[1]) }()
	if err := unix.Dup3(empty[0], 0, 0); err != nil {
		return nil, nil, err
	}
	if err := unix.Dup3(2, 1, 0); err != nil {
		return nil, nil, err
	}
	return taken[0], taken[1], nil
}

// ended is closed once nobody can reach the agent any more; nil, which never is, where that can't happen.
func ended(listener net.Listener) <-chan struct{} {
	if l, ok := listener.(*attached.Listener); ok {
		return l.Done()
	}
	return nil
}
