// Package fork starts programs where a tracer stops each system call, twice: with few calls, and in a copy of memory.
package fork

import (
	"fmt"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notStarted is the status of a child that could not become its program.
const notStarted = 253

// Forker starts programs whose timers may fire SlackNs nanoseconds late, as prctl(2) says.
type Forker struct{ SlackNs uint }

// Start is syscall.ForkExec for three descriptors above 2, without chroot and directory and with Setsid, Setctty of
// descriptor 0, and Credential of SysProcAttr. The differences:
//
// The child has a copy of this program's memory. PRoot 5.1 keeps one account of the heaps of all programs that were started
// in shared memory: of two that run at the same time each would take the other's for its own, and crash.
//
// The parent waits until the child has become its program, with no pipe between them.
//
// The child doesn't set each of some sixty handled signals to its default, as exec does that anyway. One that reaches the
// child between the end of their blocking and exec is lost; the child is known to nobody then.
func (f Forker) Start(program string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	c := child{slackNs: uintptr(f.SlackNs), session: attr.Sys.Setsid, terminal: attr.Sys.Setctty, credential: attr.Sys.Credential}
	if c.program, err = syscall.BytePtrFromString(program); err != nil {
		return 0, err
	}
	if c.argv, err = syscall.SlicePtrFromStrings(argv); err != nil {
		return 0, err
	}
	if c.env, err = syscall.SlicePtrFromStrings(attr.Env); err != nil {
		return 0, err
	}
	if copy(c.files[:], attr.Files) != len(c.files) || min(c.files[0], c.files[1], c.files[2]) < uintptr(len(c.files)) {
		return 0, fmt.Errorf("descriptors %v: %d above %d are needed", attr.Files, len(c.files), len(c.files)-1)
	}
	if c.failed, err = shared(); err != nil {
		return 0, err
	}
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	*c.failed = 0
	id, errno := c.start()
	if errno != 0 {
		return 0, errno
	}
	if errno = syscall.Errno(*c.failed); errno == 0 {
		return int(id), nil
	}
	for {
		if _, err := syscall.Wait4(int(id), nil, 0, nil); err != syscall.EINTR {
			return 0, errno
		}
	}
}

// shared is a word that parent and child both see, of which the fork makes no copy.
var shared = sync.OnceValues(func() (*uint32, error) {
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	return (*uint32)(unsafe.Pointer(&page[0])), nil
})

type child struct {
	program    *byte
	argv, env  []*byte
	files      [3]uintptr
	slackNs    uintptr
	session    bool
	terminal   bool
	credential *syscall.Credential
	failed     *uint32 // the error's number, in memory that is shared
	unblocked  uint64  // an empty set of signals
}

//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

// start returns in the parent alone. Between beforeFork and exec nothing may be allocated and no stack may grow.
//
//go:norace
//go:noinline
func (c *child) start() (pid uintptr, errno syscall.Errno) {
	var groups unsafe.Pointer
	if c.credential != nil && len(c.credential.Groups) > 0 {
		groups = unsafe.Pointer(&c.credential.Groups[0])
	}
	beforeFork()
	pid, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, syscall.CLONE_VFORK|uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		afterFork()
		return pid, errno
	}
	if c.session {
		if _, _, errno = syscall.RawSyscall(syscall.SYS_SETSID, 0, 0, 0); errno != 0 {
			goto failed
		}
	}
	if _, _, errno = syscall.RawSyscall(syscall.SYS_PRCTL, unix.PR_SET_TIMERSLACK, c.slackNs, 0); errno != 0 {
		goto failed
	}
	if c.credential != nil {
		if !c.credential.NoSetGroups {
			if _, _, errno = syscall.RawSyscall(syscall.SYS_SETGROUPS, uintptr(len(c.credential.Groups)), uintptr(groups), 0); errno != 0 {
				goto failed
			}
		}
		if _, _, errno = syscall.RawSyscall(syscall.SYS_SETGID, uintptr(c.credential.Gid), 0, 0); errno != 0 {
			goto failed
		}
		if _, _, errno = syscall.RawSyscall(syscall.SYS_SETUID, uintptr(c.credential.Uid), 0, 0); errno != 0 {
			goto failed
		}
	}
	for i := uintptr(0); i < uintptr(len(c.files)); i++ {
		if _, _, errno = syscall.RawSyscall(syscall.SYS_DUP3, c.files[i], i, 0); errno != 0 {
			goto failed
		}
	}
	if c.terminal {
		if _, _, errno = syscall.RawSyscall(syscall.SYS_IOCTL, 0, syscall.TIOCSCTTY, 1); errno != 0 {
			goto failed
		}
	}
	_, _, errno = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&c.unblocked)), 0, unsafe.Sizeof(c.unblocked), 0, 0)
	if errno != 0 {
		goto failed
	}
	_, _, errno = syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(c.program)), uintptr(unsafe.Pointer(&c.argv[0])), uintptr(unsafe.Pointer(&c.env[0])))
failed:
	*c.failed = uint32(errno)
	for {
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, notStarted, 0, 0)
	}
}
