package files

import (
	"sort"
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
		place, err = descend(path.Components(name), owner)
	}
	if err != nil {
		return err
	}
	defer place.Close()
	return accept(place, name, owner)
}

// descend makes what is missing above the last component. A lookup costs as much as the path is deep, so there are few:
// each directory is made from the one above it.
func descend(parts []string, owner *Owner) (*path.Place, error) {
	beginning := func(n int) string { return "/" + strings.Join(parts[:n], "/") }
	found := sort.Search(len(parts), func(n int) bool {
		place, err := path.Find(beginning(n+1), true)
		if err == nil {
			place.Close()
		}
		return err != nil
	})
	place, err := path.Find(beginning(found), true)
	for n := found; err == nil && n < len(parts); n++ {
		above := place
		if err = accept(above, beginning(n), owner); err == nil {
			place, err = above.Below(parts[n])
		}
		above.Close()
	}
	return place, fault.At(beginning(len(parts)), err)
}

// accept makes the directory unless it is there.
func accept(place *path.Place, name string, owner *Owner) error {
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
