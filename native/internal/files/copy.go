package files

import (
	"crypto/rand"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// maxCopyDepth bounds the directories that a move across file systems enters.
const maxCopyDepth = 256

// copyAcross copies to a temporary name beside the destination, renames that into place, then deletes the source.
func (f *Files) copyAcross(from, to *path.Place) error {
	temporary := temporaryName()
	err := copyEntry(from.Fd(), from.Name, to.Fd(), temporary, maxCopyDepth)
	if err == nil {
		err = unix.Renameat(to.Fd(), temporary, to.Fd(), to.Name)
	}
	if err != nil {
		_ = removeTree(to.Fd(), temporary, maxCopyDepth)
		return err
	}
	return removeTree(from.Fd(), from.Name, maxCopyDepth)
}

const temporaryPrefix, temporarySuffix = ".stacyvm-", ".tmp"

func temporaryName() string { return temporaryPrefix + rand.Text() + temporarySuffix }

// isTemporary tells the names of files that are still being written, which nobody is shown.
func isTemporary(name string) bool {
	random, starts := strings.CutPrefix(name, temporaryPrefix)
	random, ends := strings.CutSuffix(random, temporarySuffix)
	return starts && ends && len(random) == 26
}

func copyEntry(fromDir int, from string, toDir int, to string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(fromDir, from, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	var err error
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		var target string
		if target, err = path.Readlink(fromDir, from); err == nil {
			err = unix.Symlinkat(target, toDir, to)
		}
		return err
	case unix.S_IFDIR:
		err = copyDirectory(fromDir, from, toDir, to, depth)
	case unix.S_IFREG:
		err = copyFile(fromDir, from, toDir, to)
	default:
		return fault.New(fault.Invalid, "%s: only files, directories and symlinks move across file systems", from)
	}
	if err != nil {
		return err
	}
	_ = unix.Fchownat(toDir, to, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
	_ = unix.Fchmodat(toDir, to, st.Mode&0o7777, 0)
	times := []unix.Timespec{st.Atim, st.Mtim}
	_ = unix.UtimesNanoAt(toDir, to, times, unix.AT_SYMLINK_NOFOLLOW)
	return nil
}

func copyDirectory(fromDir int, from string, toDir int, to string, depth int) error {
	if depth == 0 {
		return unix.ENAMETOOLONG
	}
	if err := unix.Mkdirat(toDir, to, 0o700); err != nil {
		return err
	}
	source, err := openDirectory(fromDir, from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := openDirectory(toDir, to)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }()
	for {
		names, err := source.Readdirnames(512)
		for _, name := range names {
			if err := copyEntry(int(source.Fd()), name, int(target.Fd()), name, depth-1); err != nil {
				return err
			}
		}
		if err == io.EOF || err == nil && len(names) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func copyFile(fromDir int, from string, toDir int, to string) error {
	source, err := openAt(fromDir, from, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := openAt(toDir, to, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = target.ReadFrom(source); err != nil {
		_ = target.Close()
		return err
	}
	return target.Close()
}

func openAt(dir int, name string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Openat(dir, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func openDirectory(dir int, name string) (*os.File, error) {
	fd, err := path.OpenDirectoryAt(dir, name)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}
