package files

import (
	"io"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// maxRemoveDepth bounds the directories that one removal enters, one descriptor each.
const maxRemoveDepth = 512

// Remove deletes a path, never through a symlink. Without recursive a directory is refused with Precondition;
// the root and mount points always are.
func (f *Files) Remove(name string, recursive bool) error {
	place, err := path.Find(name, false)
	if err != nil {
		return err
	}
	defer place.Close()
	st, err := path.StatAt(place)
	if err != nil {
		return fault.At(name, err)
	}
	if place.Name == "." {
		return fault.New(fault.Precondition, "%s: the root is never removed", name)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if mountPoint(place.Fd(), place.Name) {
			return fault.New(fault.Precondition, "%s: is a mount point", name)
		}
		if !recursive {
			return fault.New(fault.Precondition, "%s: is a directory; recursive is needed", name)
		}
	}
	return fault.At(name, removeTree(place.Fd(), place.Name, maxRemoveDepth))
}

func mountPoint(dir int, name string) bool {
	var st unix.Statx_t
	err := unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st)
	return err == nil && st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

func removeTree(dir int, name string, depth int) error {
	err := unix.Unlinkat(dir, name, 0)
	if err != unix.EISDIR && err != unix.EPERM {
		return err
	}
	if depth == 0 {
		return unix.ENAMETOOLONG
	}
	if mountPoint(dir, name) {
		return unix.EBUSY
	}
	sub, openErr := openDirectory(dir, name)
	if openErr != nil {
		if openErr == unix.ENOTDIR {
			return err
		}
		return openErr
	}
	defer func() { _ = sub.Close() }()
	for {
		names, err := sub.Readdirnames(512)
		for _, below := range names {
			if err := removeTree(int(sub.Fd()), below, depth-1); err != nil && err != unix.ENOENT {
				return err
			}
		}
		if err != nil && err != io.EOF {
			return err
		}
		if len(names) == 0 {
			break
		}
		// Deleting while reading may skip names on some file systems: read from the start until nothing is left.
		if _, err := sub.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}
