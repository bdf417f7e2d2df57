package files

import (
	"strings"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// Owner is whom new files and directories are given to; nil leaves them the agent's.
type Owner struct{ UID, GID uint32 }

// MakeDir makes a directory and its parents. One that is there already is refused with Exists.
func (f *Files) MakeDir(name string, owner *Owner) (Entry, error) {
	if err := f.makeParents(name, owner); err != nil {
		return Entry{}, err
	}
	place, err := path.Find(name, true)
	if err != nil {
		return Entry{}, err
	}
	defer place.Close()
	if err := mkdir(place, owner); err != nil {
		return Entry{}, fault.At(name, err)
	}
	return f.Stat(place.Full)
}

// makeParents makes what is missing above name.
func (f *Files) makeParents(name string, owner *Owner) error {
	if err := path.Check(name); err != nil {
		return err
	}
	clean := strings.TrimRight(name, "/")
	at := strings.LastIndexByte(clean, '/')
	if at <= 0 {
		return nil
	}
	return f.ensure(clean[:at], owner)
}

// ensure makes a directory with its parents, or accepts the one that is there.
func (f *Files) ensure(name string, owner *Owner) error {
	place, err := path.Find(name, true)
	if fault.KindOf(err) == fault.NotFound {
		if err := f.makeParents(name, owner); err != nil {
			return err
		}
		place, err = path.Find(name, true)
	}
	if err != nil {
		return err
	}
	defer place.Close()
	st, err := path.StatAt(place)
	switch {
	case err == unix.ENOENT:
		err = mkdir(place, owner)
		if err == unix.EEXIST {
			err = nil
		}
	case err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fault.New(fault.Invalid, "%s: is not a directory", name)
	}
	return fault.At(name, err)
}

func mkdir(place *path.Place, owner *Owner) error {
	if place.Name == "." {
		return unix.EEXIST
	}
	if err := unix.Mkdirat(place.Fd(), place.Name, 0o755); err != nil {
		return err
	}
	if owner != nil {
		_ = unix.Fchownat(place.Fd(), place.Name, int(owner.UID), int(owner.GID), unix.AT_SYMLINK_NOFOLLOW)
	}
	return nil
}
