package process

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// openPty gives the non-blocking master and the slave of a new terminal.
func openPty(size Size, uid uint32) (master *os.File, slave int, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err == unix.ELOOP {
		fd, err = unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	}
	if err != nil {
		return nil, -1, err
	}
	master = os.NewFile(uintptr(fd), "pty")
	slave = -1
	if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
		slave, err = openSlave(fd)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols})
	}
	if err != nil {
		_ = master.Close()
		if slave >= 0 {
			_ = unix.Close(slave)
		}
		return nil, -1, err
	}
	if uid != uint32(os.Geteuid()) {
		_ = unix.Fchown(slave, int(uid), -1)
	}
	return master, slave, nil
}

// openSlave opens the terminal's other end, by its name where the kernel doesn't give it without one, as gVisor's.
func openSlave(master int) (int, error) {
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, flags)
	if no == 0 {
		return int(fd), nil
	}
	if no != unix.ENOTTY && no != unix.EINVAL {
		return -1, no
	}
	number, err := unix.IoctlGetUint32(master, unix.TIOCGPTN)
	if err != nil {
		return -1, err
	}
	return unix.Open("/dev/pts/"+strconv.FormatUint(uint64(number), 10), flags|unix.O_NOFOLLOW, 0)
}

func setSize(master *os.File, size Size) error {
	raw, err := master.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols})
	})
	if err != nil {
		return err
	}
	return setErr
}
