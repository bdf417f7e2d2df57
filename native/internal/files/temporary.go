package files

import (
	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// TemporaryName is a name that nothing in a directory has, for what is renamed once it is whole.
func TemporaryName() string { return temporaryName() }

// EnsureDir is the canonical path of a directory, symlinks to it followed, which is made with its parents where it is
// missing.
func (f *Files) EnsureDir(name string, owner *Owner) (full string, made bool, err error) {
	place, err := path.Find(name, true)
	if fault.KindOf(err) == fault.NotFound {
		if err := f.makeParents(name, owner); err != nil {
			return "", false, err
		}
		place, err = path.Find(name, true)
	}
	if err != nil {
		return "", false, err
	}
	defer place.Close()
	_, err = path.StatAt(place)
	if err == unix.ENOENT {
		err = mkdir(place, owner)
		made = err == nil
		if err == unix.EEXIST {
			err = nil
		}
	}
	return place.Full, made, fault.At(name, err)
}
