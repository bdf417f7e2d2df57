package path

import (
	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
)

// Stat looks at what a path leads to, symlinks followed.
func Stat(name string) (*unix.Stat_t, error) {
	if err := Check(name); err != nil {
		return nil, err
	}
	st, err := statByKernel(name)
	if err == nil || err == unix.ENOENT {
		return st, fault.At(name, err)
	}
	// The kernel can't say which link it was, may have no such call, and seccomp may not know it.
	place, err := Find(name, true)
	if err != nil {
		return nil, err
	}
	defer place.Close()
	st, err = StatAt(place)
	return st, fault.At(name, err)
}

// statByKernel has the kernel refuse the links that it makes up: one call instead of several for each component.
func statByKernel(name string) (*unix.Stat_t, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, name, &how)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return &st, err
}
