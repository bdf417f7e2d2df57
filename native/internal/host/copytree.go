package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// treeCopy copies an image's tree for one sandbox to write to.
type treeCopy struct {
	owner int // of everything; -1 leaves it to whoever copies
	links map[fileIdentity]string
	// later are the directories' modes, set once what is below is written.
	later []laterMode
}

type fileIdentity struct{ device, inode uint64 }

type laterMode struct {
	path string
	mode uint32
}

// copyTree copies directories, regular files and symlinks. Contents are shared where the file system can, until either side
// writes; nothing is a hard link to the image. Set-id bits, extended attributes, sockets and devices stay behind.
func copyTree(ctx context.Context, from, to string, owner int) error {
	c := treeCopy{owner: owner, links: map[fileIdentity]string{}}
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return c.entry(path, to+path[len(from):])
	})
	if err != nil {
		return err
	}
	for i := len(c.later) - 1; i >= 0; i-- {
		if err := unix.Chmod(c.later[i].path, c.later[i].mode); err != nil {
			return err
		}
	}
	return nil
}

func (c *treeCopy) entry(from, to string) error {
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return err
	}
	mode := st.Mode & 0o1777
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if err := unix.Mkdir(to, 0o700); err != nil {
			return err
		}
		c.later = append(c.later, laterMode{to, mode})
	case unix.S_IFLNK:
		target, err := os.Readlink(from)
		if err == nil {
			err = os.Symlink(target, to)
		}
		if err != nil {
			return err
		}
	case unix.S_IFREG:
		if st.Nlink > 1 {
			identity := fileIdentity{uint64(st.Dev), st.Ino}
			if copied, ok := c.links[identity]; ok {
				return os.Link(copied, to) // to our own copy of the same file
			}
			c.links[identity] = to
		}
		if err := copyFile(from, to, mode); err != nil {
			return err
		}
	default:
		return nil
	}
	if c.owner < 0 {
		return nil
	}
	return os.Lchown(to, c.owner, c.owner)
}

// copyFile shares the content where the file system can, else copies it inside the kernel.
func copyFile(from, to string, mode uint32) error {
	source, err := os.OpenFile(from, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if unix.IoctlFileClone(int(target.Fd()), int(source.Fd())) != nil {
		_, err = target.ReadFrom(source)
	}
	return errors.Join(err, unix.Fchmod(int(target.Fd()), mode), target.Close())
}

// removeTree removes what a sandbox left, also where it took itself the right to do so. Its processes have ended.
func removeTree(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	if err := makeRemovable(unix.AT_FDCWD, path); err != nil {
		return err
	}
	return os.RemoveAll(path)
}

func makeRemovable(parent int, name string) error {
	found, err := unix.Openat(parent, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ENOTDIR || err == unix.ENOENT || err == unix.ELOOP {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(found)
	if err := unix.Fchmodat(parent, name, 0o700, 0); err != nil {
		return err
	}
	fd, err := unix.Openat(found, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	directory := os.NewFile(uintptr(fd), name)
	defer directory.Close()
	for {
		names, err := directory.Readdirnames(512)
		for _, below := range names {
			if err := makeRemovable(fd, below); err != nil {
				return err
			}
		}
		if err != nil {
			return nil // the end
		}
	}
}
