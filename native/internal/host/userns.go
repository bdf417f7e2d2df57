package host

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openUserNamespace returns a descriptor of a new user namespace in which root is base. It lives as long as the
// descriptor; no process stays in it.
func openUserNamespace(base int) (int, error) {
	var gate [2]int
	if err := unix.Pipe2(gate[:], unix.O_CLOEXEC); err != nil {
		return -1, err
	}
	pid, errno := forkIntoUserNamespace(gate[0], gate[1])
	unix.Close(gate[0])
	if errno != 0 {
		unix.Close(gate[1])
		return -1, fmt.Errorf("make user namespace: %w", errno)
	}
	defer func() {
		unix.Close(gate[1])
		_ = unix.Kill(pid, unix.SIGKILL)
		_ = ignoringEINTR(func() error { _, err := unix.Wait4(pid, nil, 0, nil); return err })
	}()
	mapping := []byte(fmt.Sprintf("0 %d %d\n", base, idsPerSandbox))
	for _, name := range []string{"uid_map", "gid_map"} {
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/%s", pid, name), mapping, 0); err != nil {
			return -1, err
		}
	}
	return unix.Open(fmt.Sprintf("/proc/%d/ns/user", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

// userLimit is read and written for the user namespace of whoever opens it.
var userLimit = [...]byte{'/', 'p', 'r', 'o', 'c', '/', 's', 'y', 's', '/', 'u', 's', 'e', 'r', '/', 'm', 'a', 'x', '_', 'u', 's', 'e', 'r', '_',
	'n', 'a', 'm', 'e', 's', 'p', 'a', 'c', 'e', 's', 0}

// forbidUserNamespaces sets the limit of the process's user namespace to none. The agent needs clone3 to put a command
// into its cgroup, and no syscall filter sees the flags of clone3; with this limit none of them makes a user namespace,
// and without one no other namespace can be had. Nothing inside may raise it: that takes CAP_SYS_RESOURCE.
func forbidUserNamespaces(pid int) error {
	namespace, err := unix.Open(fmt.Sprintf("/proc/%d/ns/user", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(namespace)
	syscall.ForkLock.Lock()
	child, errno := rawForkForbidding(uintptr(namespace))
	syscall.ForkLock.Unlock()
	if errno != 0 {
		return errno
	}
	var status unix.WaitStatus
	if err := ignoringEINTR(func() error { _, err := unix.Wait4(int(child), &status, 0, nil); return err }); err != nil {
		return err
	}
	if status.ExitStatus() != 0 {
		return fmt.Errorf("forbid user namespaces: %w", syscall.Errno(status.ExitStatus()))
	}
	return nil
}

// rawForkForbidding forks a child that joins the namespace, writes the limit and exits with the error number.
//
//go:norace
//go:noinline
func rawForkForbidding(namespace uintptr) (uintptr, syscall.Errno) {
	path := uintptr(unsafe.Pointer(&userLimit))
	zero := [8]byte{'0'}
	value := uintptr(unsafe.Pointer(&zero))
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	_, _, errno = syscall.RawSyscall(unix.SYS_SETNS, namespace, unix.CLONE_NEWUSER, 0)
	if errno == 0 {
		var fd uintptr
		at := unix.AT_FDCWD
		fd, _, errno = syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(at), path, unix.O_WRONLY, 0, 0, 0)
		if errno == 0 {
			_, _, errno = syscall.RawSyscall(unix.SYS_WRITE, fd, value, 1)
		}
	}
	for {
		_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
	}
}

// forkIntoUserNamespace forks without exec. The child owns a copy of one thread of a Go program, so it may do nothing
// but raw system calls: it waits for the gate to close, which also happens when the parent dies.
//
//go:norace
func forkIntoUserNamespace(gateRead, gateWrite int) (int, syscall.Errno) {
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	pid, errno := rawForkWaiting(uintptr(gateRead), uintptr(gateWrite))
	return int(pid), errno
}

//go:norace
//go:noinline
func rawForkWaiting(gateRead, gateWrite uintptr) (uintptr, syscall.Errno) {
	var scratch [8]byte
	buffer := uintptr(unsafe.Pointer(&scratch))
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	_, _, _ = syscall.RawSyscall(unix.SYS_CLOSE, gateWrite, 0, 0)
	_, _, _ = syscall.RawSyscall(unix.SYS_READ, gateRead, buffer, 1)
	for {
		_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}
