package archive

import (
	"archive/tar"
	"io"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/files"
)

// unlookedBytes is the size up to which a file is written without a look at the space left.
const unlookedBytes = 1 << 20

func (u *unpacker) directory(names []string, header *tar.Header) error {
	if _, err := u.folder.open(names); err != nil {
		return err
	}
	if len(names) == 0 && !u.Made {
		return nil
	}
	u.later = append(u.later, attributes{names, &tar.Header{Mode: header.Mode, Uid: header.Uid, Gid: header.Gid, ModTime: header.ModTime}})
	return u.keep(len(header.Name))
}

func (u *unpacker) file(dir int, name string, header *tar.Header, content io.Reader) error {
	if err := u.room(dir, header.Size); err != nil {
		return err
	}
	return replace(dir, name, func(temporary string) error {
		fd, err := unix.Openat(dir, temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return err
		}
		err = u.fill(fd, header, content)
		if closeErr := unix.Close(fd); err == nil {
			err = closeErr
		}
		if err == nil {
			err = unix.UtimesNanoAt(dir, temporary, times(header), unix.AT_SYMLINK_NOFOLLOW)
		}
		return err
	})
}

// room refuses a file that can't fit before the space that is left is used up for nothing.
func (u *unpacker) room(dir int, size int64) error {
	var fs unix.Statfs_t
	if size <= unlookedBytes || unix.Fstatfs(dir, &fs) != nil || fs.Blocks == 0 {
		return nil
	}
	if uint64(size)/uint64(fs.Bsize) > fs.Bavail {
		return unix.ENOSPC
	}
	return nil
}

func (u *unpacker) fill(fd int, header *tar.Header, content io.Reader) error {
	for {
		n, err := content.Read(u.buffer)
		if writeErr := writeAll(fd, u.buffer[:n]); writeErr != nil {
			return writeErr
		}
		u.done.Bytes += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	mode, err := u.owns.give(header, func(uid, gid int) error { return unix.Fchown(fd, uid, gid) })
	if err != nil {
		return err
	}
	// After chown, which clears setuid.
	return unix.Fchmod(fd, mode)
}

func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err != nil && err != unix.EINTR {
			return err
		}
		p = p[max(n, 0):]
	}
	return nil
}

func (u *unpacker) symlink(dir int, name string, header *tar.Header) error {
	return replace(dir, name, func(temporary string) error {
		if err := unix.Symlinkat(header.Linkname, dir, temporary); err != nil {
			return err
		}
		chown := func(uid, gid int) error { return unix.Fchownat(dir, temporary, uid, gid, unix.AT_SYMLINK_NOFOLLOW) }
		if _, err := u.owns.give(header, chown); err != nil {
			return err
		}
		return unix.UtimesNanoAt(dir, temporary, times(header), unix.AT_SYMLINK_NOFOLLOW)
	})
}

// link makes a hard link to a file or a symlink inside the folder, found as an entry is: never through a symlink.
func (u *unpacker) link(dir int, name string, header *tar.Header) error {
	target, err := parts(header.Linkname, u.Limits.PathBytes)
	if err == nil && len(target) == 0 {
		err = fault.New(fault.Invalid, "the folder itself can't be linked to")
	}
	if err != nil {
		return linkError(header, err)
	}
	from, err := u.targets.open(target[:len(target)-1])
	if err != nil {
		return linkError(header, err)
	}
	var st unix.Stat_t
	last := target[len(target)-1]
	if err := unix.Fstatat(from, last, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return linkError(header, err)
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG && kind != unix.S_IFLNK {
		return linkError(header, fault.New(fault.Invalid, "is neither a file nor a symlink"))
	}
	return replace(dir, name, func(temporary string) error {
		if err := unix.Linkat(from, last, dir, temporary, 0); err != nil {
			return err
		}
		// Where the name is this file's already the kernel renames nothing and the temporary name would stay.
		var there unix.Stat_t
		if unix.Fstatat(dir, name, &there, unix.AT_SYMLINK_NOFOLLOW) == nil && there.Dev == st.Dev && there.Ino == st.Ino {
			return unix.Unlinkat(dir, name, 0)
		}
		return nil
	})
}

func linkError(header *tar.Header, err error) error {
	return &fault.Error{Kind: fault.KindOf(err), Message: "its hard link's target " + fault.At(shown(header.Linkname), err).Error(), Cause: err}
}

// replace makes something under a temporary name and renames it into place.
func replace(dir int, name string, make func(temporary string) error) error {
	temporary := files.TemporaryName()
	err := make(temporary)
	if err == nil {
		err = unix.Renameat(dir, temporary, dir, name)
	}
	if err != nil {
		_ = unix.Unlinkat(dir, temporary, 0)
	}
	return err
}
