package archive

import (
	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// folder opens directories below one, each from its parent's descriptor and never through a symlink. The way to the last
// one is kept open: the next entry most often stands beside it.
type folder struct {
	root int
	way  []step
	// mkdir makes what is missing on the way; nil: it must be there.
	mkdir func(dir int, name string) error
}

type step struct {
	name string
	fd   int
}

func (f *folder) close() { f.cut(0) }

func (f *folder) cut(depth int) {
	for _, s := range f.way[depth:] {
		_ = unix.Close(s.fd)
	}
	f.way = f.way[:depth]
}

// open gives the descriptor of a directory, which stays the folder's own and is good until the next call.
func (f *folder) open(names []string) (int, error) {
	same := 0
	for same < len(names) && same < len(f.way) && f.way[same].name == names[same] {
		same++
	}
	f.cut(same)
	dir := f.root
	if same > 0 {
		dir = f.way[same-1].fd
	}
	for _, name := range names[same:] {
		fd, err := path.OpenDirectoryAt(dir, name)
		if err == unix.ENOENT && f.mkdir != nil {
			if err = f.mkdir(dir, name); err == nil || err == unix.EEXIST {
				fd, err = path.OpenDirectoryAt(dir, name)
			}
		}
		if err != nil {
			return -1, onTheWay(name, err)
		}
		f.way = append(f.way, step{name, fd})
		dir = fd
	}
	return dir, nil
}

// onTheWay says of a symlink that it is one: the kernel calls it no directory.
func onTheWay(name string, err error) error {
	if err == unix.ENOTDIR || err == unix.ELOOP {
		return fault.New(fault.Invalid, "%s is there and is no directory; symlinks are never followed", shown(name))
	}
	return err
}
