package files

import (
	"strconv"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// Chmod sets the permission bits (0 to 07777) of a file or directory, symlinks followed.
func (f *Files) Chmod(name string, mode uint32) error {
	if mode > 0o7777 {
		return fault.New(fault.Invalid, "mode must be from 0 to 07777")
	}
	place, err := path.Find(name, true)
	if err != nil {
		return err
	}
	defer place.Close()
	fd, err := unix.Openat(place.Fd(), place.Name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fault.At(name, err)
	}
	defer func() { _ = unix.Close(fd) }()
	err = unix.Fchmodat(fd, "", mode, unix.AT_EMPTY_PATH)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS || err == unix.EINVAL || err == unix.EPERM {
		// Kernels before 6.6 have no fchmodat2.
		err = unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode)
	}
	return fault.At(name, err)
}
