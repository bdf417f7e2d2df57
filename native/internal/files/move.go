package files

import (
	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// Move renames, after making the destination's parents; across file systems it copies and deletes.
func (f *Files) Move(source, destination string, owner *Owner) (Entry, error) {
	from, err := path.Find(source, false)
	if err != nil {
		return Entry{}, err
	}
	defer from.Close()
	if _, err := path.StatAt(from); err != nil {
		return Entry{}, fault.At(source, err)
	}
	if from.Name == "." {
		return Entry{}, fault.New(fault.Invalid, "the root can't be moved")
	}
	if err := f.makeParents(destination, owner); err != nil {
		return Entry{}, err
	}
	to, err := path.Find(destination, false)
	if err != nil {
		return Entry{}, err
	}
	defer to.Close()
	err = unix.Renameat(from.Fd(), from.Name, to.Fd(), to.Name)
	if err == unix.EXDEV {
		err = f.copyAcross(from, to)
	}
	if err == unix.ENOENT {
		return Entry{}, fault.At(source, err)
	}
	if err != nil {
		return Entry{}, fault.At(destination, err)
	}
	return f.describer().at(to.Fd(), to.Name, to.Full)
}
