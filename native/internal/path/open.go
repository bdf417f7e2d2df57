package path

import (
	"os"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
)

// OpenRegular opens a regular file for reading; never waits for a FIFO's other end, never opens a device.
func OpenRegular(name string) (*os.File, *unix.Stat_t, error) {
	place, err := Find(name, true)
	if err != nil {
		return nil, nil, err
	}
	defer place.Close()
	return OpenRegularAt(place, name)
}

// OpenRegularAt is OpenRegular for a place already found.
func OpenRegularAt(place *Place, name string) (*os.File, *unix.Stat_t, error) {
	st, err := StatAt(place)
	if err != nil {
		return nil, nil, fault.At(name, err)
	}
	if err := regular(st, name); err != nil {
		return nil, nil, err
	}
	fd, err := unix.Openat(place.Fd(), place.Name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, fault.At(name, err)
	}
	if err = unix.Fstat(fd, st); err == nil {
		err = regular(st, name)
	}
	if err == nil {
		err = unix.SetNonblock(fd, false)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, nil, fault.At(name, err)
	}
	return os.NewFile(uintptr(fd), place.Name), st, nil
}

func regular(st *unix.Stat_t, name string) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		return fault.New(fault.Invalid, "%s: is a directory", name)
	}
	return fault.New(fault.Invalid, "%s: is not a regular file", name)
}

// StatAt looks at the place's own entry, never through a symlink.
func StatAt(place *Place) (*unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstatat(place.Fd(), place.Name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return &st, err
}

// OpenDirectoryAt opens a directory for listing, never through a symlink. In two steps: in one, gVisor's kernel follows the
// link all the same.
func OpenDirectoryAt(dir int, name string) (int, error) {
	found, err := unix.Openat(dir, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(found) }()
	return unix.Openat(found, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// OpenDir opens a directory for listing, symlinks to it followed.
func OpenDir(name string) (*os.File, string, error) {
	place, err := Find(name, true)
	if err != nil {
		return nil, "", err
	}
	defer place.Close()
	fd, err := OpenDirectoryAt(place.Fd(), place.Name)
	if err == unix.ENOTDIR {
		return nil, "", fault.New(fault.Invalid, "%s: is not a directory", name)
	}
	if err != nil {
		return nil, "", fault.At(name, err)
	}
	return os.NewFile(uintptr(fd), name), place.Full, nil
}

// ReadSmall reads a regular file up to limit bytes; a longer one is refused.
func ReadSmall(name string, limit int) ([]byte, error) {
	file, st, err := OpenRegular(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	size := limit + 1
	if st.Size > 0 {
		size = min(size, int(st.Size)+1)
	}
	buf := make([]byte, size)
	total := 0
	for total < len(buf) {
		n, err := file.Read(buf[total:])
		total += n
		if err != nil || n == 0 {
			break
		}
	}
	if total > limit {
		return nil, fault.New(fault.Invalid, "%s: larger than %d bytes", name, limit)
	}
	return buf[:total], nil
}
