// Package path finds files without ever following a link that the kernel makes up, such as /proc/self/fd/3 or
// /proc/1/root: through those, an open descriptor of the agent would be a door out of the sandbox.
package path

import (
	"errors"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
)

// maxLinks bounds the symlinks followed by one lookup, as the kernel does.
const maxLinks = 40

// maxWork bounds the components of a path, those of symlinks included.
const maxWork = 16 << 10

// procRootInode is the inode of /proc itself, the only directory of procfs whose links are ordinary.
const procRootInode = 1

// Place is a name in an open directory. Name is "." for the root itself. The name may not exist.
type Place struct {
	fd   int
	Name string
	// Full is the canonical absolute path.
	Full string
}

// Close frees the directory.
func (p *Place) Close() { _ = unix.Close(p.fd) }

// Fd is the directory's descriptor.
func (p *Place) Fd() int { return p.fd }

// Below names an entry in the directory that is the place, never through a symlink.
func (p *Place) Below(name string) (*Place, error) {
	fd, err := unix.Openat(p.Fd(), p.Name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &Place{fd: fd, Name: name, Full: p.Full + "/" + name}, nil
}

// Find walks an absolute path to its last component. With follow a symlink there is followed too. Components before
// the last must exist.
func Find(name string, follow bool) (*Place, error) {
	if err := Check(name); err != nil {
		return nil, err
	}
	w := &walker{wanted: name}
	place, err := w.walk(name, follow)
	if err != nil {
		w.close()
		return nil, fault.At(name, err)
	}
	return place, nil
}

// Check refuses what can't be a path.
func Check(name string) error {
	switch {
	case !strings.HasPrefix(name, "/"):
		return fault.New(fault.Invalid, "path must be absolute: %q", name)
	case strings.IndexByte(name, 0) >= 0:
		return fault.New(fault.Invalid, "path must not contain NUL")
	case len(name) > 4095:
		return fault.Exceeds("path-bytes", 4095)
	}
	return nil
}

// Directory opens the directory at an absolute path, symlinks to it followed, and returns its canonical path too. The
// descriptor is good for openat and fchdir.
func Directory(name string) (fd int, full string, err error) {
	if err := Check(name); err != nil {
		return -1, "", err
	}
	w := &walker{wanted: name, enter: true}
	place, err := w.walk(name, true)
	if err != nil {
		w.close()
		return -1, "", fault.At(name, err)
	}
	if place.Name != "." {
		place.Close()
		return -1, "", fault.At(name, unix.ENOENT)
	}
	return place.fd, place.Full, nil
}

// root is open as long as the program runs: every walk begins there.
var root = sync.OnceValues(func() (int, error) {
	return unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
})

type walker struct {
	wanted string
	// enter: the last component is wanted as an open directory, and the place is "." in it.
	enter bool
	stack []level // without the root
	mode  uint32  // of what was opened last
	links int
	work  int
}

type level struct {
	fd   int
	name string
	mode uint32
}

func (w *walker) close() {
	for _, l := range w.stack {
		_ = unix.Close(l.fd)
	}
	w.stack = nil
}

func (w *walker) walk(name string, follow bool) (*Place, error) {
	if _, err := root(); err != nil {
		return nil, err
	}
	pending := Components(name)
	for len(pending) > 0 {
		if w.work++; w.work > maxWork || len(pending) > maxWork {
			return nil, unix.ENAMETOOLONG
		}
		part := pending[0]
		pending = pending[1:]
		if part == ".." {
			w.up()
			continue
		}
		last := len(pending) == 0
		target, fd, err := w.step(part, last && !follow)
		if last && (errors.Is(err, unix.ENOENT) || err == nil && target == "" && fd < 0) {
			return w.place(part)
		}
		if err != nil {
			return nil, err
		}
		if target != "" {
			if strings.HasPrefix(target, "/") {
				w.close()
			}
			pending = append(Components(target), pending...)
			continue
		}
		if last && !w.enter {
			_ = unix.Close(fd)
			return w.place(part)
		}
		w.stack = append(w.stack, level{fd: fd, name: part, mode: w.mode})
	}
	if len(w.stack) == 0 {
		return w.place(".")
	}
	top := w.stack[len(w.stack)-1]
	if w.enter {
		if top.mode&unix.S_IFMT != unix.S_IFDIR {
			return nil, unix.ENOTDIR
		}
		return w.place(".")
	}
	// The path ends in a directory on the stack: name it from its parent.
	w.up()
	return w.place(top.name)
}

// here is the directory that the walk has come to.
func (w *walker) here() int {
	if n := len(w.stack); n > 0 {
		return w.stack[n-1].fd
	}
	fd, _ := root()
	return fd
}

// step opens one component. A symlink gives its target instead, unless it is wanted itself (fd -1, no target).
func (w *walker) step(part string, keepLink bool) (target string, fd int, err error) {
	dir := w.here()
	fd, err = unix.Openat(dir, part, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return "", -1, err
	}
	w.mode = st.Mode
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return "", fd, nil
	}
	link := fd
	defer func() { _ = unix.Close(link) }()
	if keepLink {
		return "", -1, nil
	}
	if w.links++; w.links > maxLinks {
		return "", -1, unix.ELOOP
	}
	if madeUp(link, dir) {
		return "", -1, fault.New(fault.Denied, "%s: goes through a kernel link, which is never followed", w.wanted)
	}
	target, err = Readlink(dir, part)
	if err == nil && target == "" {
		err = unix.ENOENT
	}
	return target, -1, err
}

func madeUp(link, dir int) bool {
	var fs unix.Statfs_t
	if unix.Fstatfs(link, &fs) != nil {
		return true
	}
	if fs.Type != unix.PROC_SUPER_MAGIC {
		return false
	}
	var st unix.Stat_t
	return unix.Fstat(dir, &st) != nil || st.Ino != procRootInode
}

func (w *walker) up() {
	if n := len(w.stack); n > 0 {
		_ = unix.Close(w.stack[n-1].fd)
		w.stack = w.stack[:n-1]
	}
}

// place names an entry of the directory that the walk has come to, or with "." that directory.
func (w *walker) place(name string) (*Place, error) {
	fd := -1
	if n := len(w.stack); n > 0 {
		fd = w.stack[n-1].fd
	} else {
		var err error
		if fd, err = unix.FcntlInt(uintptr(w.here()), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			return nil, err
		}
	}
	var full strings.Builder
	for _, l := range w.stack {
		full.WriteByte('/')
		full.WriteString(l.name)
		if l.fd != fd {
			_ = unix.Close(l.fd)
		}
	}
	w.stack = nil
	if name != "." || full.Len() == 0 {
		full.WriteByte('/')
	}
	if name != "." {
		full.WriteString(name)
	}
	return &Place{fd: fd, Name: name, Full: full.String()}, nil
}

// Components are the names in a path, without those that lead nowhere.
func Components(name string) []string {
	parts := strings.Split(name, "/")
	kept := parts[:0]
	for _, part := range parts {
		if part != "" && part != "." {
			kept = append(kept, part)
		}
	}
	return kept
}

// Readlink reads a symlink's text.
func Readlink(dir int, name string) (string, error) {
	buf := make([]byte, 4096)
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
