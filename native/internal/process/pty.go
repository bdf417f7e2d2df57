package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// openPty gives the non-blocking master and the slave of a new terminal; no path under /dev/pts is needed.
func openPty(size Size, uid uint32) (master, slave *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err == unix.ELOOP {
		fd, err = unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	}
	if err != nil {
		return nil, nil, err
	}
	master = os.NewFile(uintptr(fd), "pty")
	var slaveFd uintptr
	if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
		var no unix.Errno
		slaveFd, _, no = unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
		if no != 0 {
			err = no
		}
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols})
	}
	if err != nil {
		_ = master.Close()
		return nil, nil, err
	}
	slave = os.NewFile(slaveFd, "tty")
	if uid != uint32(os.Geteuid()) {
		_ = unix.Fchown(int(slaveFd), int(uid), -1)
	}
	return master, slave, nil
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
