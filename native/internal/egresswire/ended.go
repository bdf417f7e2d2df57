package egresswire

import (
	"net"

	"golang.org/x/sys/unix"
)

// HungUp tells, of a slot whose reading came to its end, whether the other side closed it (a reset, if this side has
// not shut down its own writing) rather than shut down its writing.
func HungUp(slot *net.UnixConn) bool {
	raw, err := slot.SyscallConn()
	if err != nil {
		return true
	}
	hungUp := true
	if err := raw.Control(func(fd uintptr) { hungUp = hangup(int(fd)) }); err != nil {
		return true
	}
	return hungUp
}

// WaitHangup returns once the other side has closed the slot, or this one has.
func WaitHangup(slot *net.UnixConn) {
	if raw, err := slot.SyscallConn(); err == nil {
		_ = raw.Read(func(fd uintptr) bool { return hangup(int(fd)) })
	}
}

func hangup(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	for {
		n, err := unix.Poll(fds, 0)
		if err == unix.EINTR {
			continue
		}
		return err != nil || n > 0 && fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
	}
}
