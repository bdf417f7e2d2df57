package files

import (
	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// Mkdir describes a directory to be made.
type Mkdir struct {
	Path string
	// Mode of the directory, if it is made; nil is 0755.
	Mode *uint32
	// Parents makes those that are missing, with 0755.
	Parents bool
	Owner   *Owner
}

// Mkdir makes a directory and says whether it did: one that is there already is left as it is. Anything else of that
// name is refused with Exists.
func (f *Files) Mkdir(m Mkdir) (made bool, err error) {
	if err := path.Check(m.Path); err != nil {
		return false, err
	}
	if m.Parents {
		if err := f.makeParents(m.Path, m.Owner); err != nil {
			return false, err
		}
	}
	place, err := path.Find(m.Path, true)
	if err != nil {
		return false, err
	}
	defer place.Close()
	err = mkdir(place, m.Owner)
	if err == unix.EEXIST {
		st, err := path.StatAt(place)
		if err == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			err = fault.New(fault.Exists, "%s: is there and is no directory", m.Path)
		}
		return false, fault.At(m.Path, err)
	}
	if err == nil && m.Mode != nil {
		err = setMode(place, *m.Mode)
	}
	return err == nil, fault.At(m.Path, err)
}

// Give makes a directory the owner's; what is in it stays whose it is.
func (f *Files) Give(name string, owner Owner) error {
	place, err := path.Find(name, true)
	if err != nil {
		return err
	}
	defer place.Close()
	dir, err := openDirectory(place.Fd(), place.Name)
	if err != nil {
		return fault.At(name, err)
	}
	defer func() { _ = dir.Close() }()
	return fault.At(name, unix.Fchown(int(dir.Fd()), int(owner.UID), int(owner.GID)))
}

func setMode(place *path.Place, mode uint32) error {
	dir, err := openDirectory(place.Fd(), place.Name)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	return unix.Fchmod(int(dir.Fd()), mode)
}
