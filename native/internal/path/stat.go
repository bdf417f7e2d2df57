package path

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
)

// withoutOpenat2: the kernel has no such call, or a filter says so.
var withoutOpenat2 atomic.Bool

// Stat looks at what a path leads to, symlinks followed.
func Stat(name string) (*unix.Stat_t, error) {
	if err := Check(name); err != nil {
		return nil, err
	}
	if withoutOpenat2.Load() {
		return walked.stat(name)
	}
	st, err := statByKernel(name)
	if err == nil || err == unix.ENOENT {
		return st, fault.At(name, err)
	}
	withoutOpenat2.Store(err == unix.ENOSYS)
	// The kernel can't say which link it was, may have no such call, and seccomp may not know it.
	return statByWalk(name)
}

func statByWalk(name string) (*unix.Stat_t, error) {
	place, err := Find(name, true)
	if err != nil {
		return nil, err
	}
	defer place.Close()
	st, err := StatAt(place)
	return st, fault.At(name, err)
}

// statByKernel has the kernel refuse the links that it makes up: one call instead of several for each component.
func statByKernel(name string) (*unix.Stat_t, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(unix.AT_FDCWD, name, &how)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return &st, err
}

// maxRemembered bounds the files that are remembered.
const maxRemembered = 64

// memory holds the files to which walks have led. Below a tracer each call costs two stops, and a walk makes three calls for
// each component; the same file at the same path needs one call. What is missing needs no walk either: no link is
// followed to it.
type memory struct {
	mu    sync.Mutex
	files map[string]unix.Stat_t
}

var walked memory

func (m *memory) stat(name string) (*unix.Stat_t, error) {
	var now unix.Stat_t
	err := unix.Stat(name, &now)
	if err == unix.ENOENT {
		return nil, fault.At(name, err)
	}
	m.mu.Lock()
	before, found := m.files[name]
	m.mu.Unlock()
	if err == nil && found && before.Dev == now.Dev && before.Ino == now.Ino && before.Ctim == now.Ctim {
		return &now, nil
	}
	st, err := statByWalk(name)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files == nil || len(m.files) >= maxRemembered {
		m.files = map[string]unix.Stat_t{}
	}
	m.files[name] = *st
	return st, nil
}
