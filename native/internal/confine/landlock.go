// Package confine takes rights away from a process by what any process may use: Landlock and a syscall filter.
package confine

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights to what lies below a path.
const (
	Read    = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	Execute = Read | unix.LANDLOCK_ACCESS_FS_EXECUTE
	Write   = Read | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	// Device is Write, and the calls that a terminal takes.
	Device = Write | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	// Own is everything but making devices.
	Own = Execute | Write | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
)

const (
	makeDevices = unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_CHAR
	// ofFiles are the rights that make sense for what is no directory.
	ofFiles = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	// leastVersion can allow a file to be moved to another directory.
	leastVersion = 2
	ruleBeneath  = 1
)

// Path is what lies at a path and below it; one that does not exist gives nothing.
type Path struct {
	Name   string
	Rights uint64
}

// LandlockVersion is what this kernel has of Landlock, 0 where it is not switched on.
func LandlockVersion() int {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(version)
}

// BoundsPaths says whether Paths has an effect here.
func BoundsPaths() bool { return LandlockVersion() >= leastVersion }

// handled are the rights that this version can take away.
func handled(version int) uint64 {
	rights := uint64(Own | makeDevices | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV)
	if version < 3 {
		rights &^= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version < 5 {
		rights &^= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return rights
}

func scoped(version int) uint64 {
	if version < 6 {
		return 0
	}
	return unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
}

// Paths leaves this thread, and what it starts, no file but these, no process outside to trace, and where the kernel can
// no process outside to signal. Privileges must not be gainable any more. It does nothing where the kernel lacks Landlock.
func Paths(allowed []Path) error {
	version := LandlockVersion()
	if version < leastVersion {
		return nil
	}
	rights := handled(version)
	rules, err := makeRules(unix.LandlockRulesetAttr{Handled_access_fs: rights, Scoped: scoped(version)})
	if err != nil {
		return err
	}
	defer unix.Close(rules)
	for _, path := range allowed {
		if err := allow(rules, path, rights); err != nil {
			return fmt.Errorf("allow %s: %w", path.Name, err)
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(rules), 0, 0); errno != 0 {
		return fmt.Errorf("restrict to paths: %w", errno)
	}
	return nil
}

// Apart puts this thread, and what it starts, into a domain of its own, so that it can neither trace nor, where the kernel
// can, signal whoever started it. Privileges must not be gainable any more.
func Apart() error {
	version := LandlockVersion()
	if version < leastVersion {
		return nil
	}
	// A right that isn't handled is lost all the same, if it is that to move files between directories.
	const rights = unix.LANDLOCK_ACCESS_FS_REFER
	rules, err := makeRules(unix.LandlockRulesetAttr{Handled_access_fs: rights, Scoped: scoped(version)})
	if err != nil {
		return err
	}
	defer unix.Close(rules)
	if err := allow(rules, Path{Name: "/", Rights: rights}, rights); err != nil {
		return err
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(rules), 0, 0); errno != 0 {
		return fmt.Errorf("set apart: %w", errno)
	}
	return nil
}

func makeRules(attributes unix.LandlockRulesetAttr) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes), 0)
	if errno != 0 {
		return -1, fmt.Errorf("make Landlock rules: %w", errno)
	}
	return int(fd), nil
}

func allow(rules int, path Path, handled uint64) error {
	fd, err := unix.Open(path.Name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	rights := path.Rights & handled
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= ofFiles
	}
	beneath := unix.LandlockPathBeneathAttr{Allowed_access: rights, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), ruleBeneath, uintptr(unsafe.Pointer(&beneath)), 0, 0, 0)
	runtime.KeepAlive(&beneath)
	if errno != 0 {
		return errno
	}
	return nil
}
