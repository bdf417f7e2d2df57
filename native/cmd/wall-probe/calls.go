package main

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func raw(call, a, b, c uintptr) error {
	if _, _, errno := unix.RawSyscall(call, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

// clone3 and clone make a child, which ends at once: the attempt is a breach only if there is one.
func clone3(flags uint64) error {
	arguments := struct{ flags, pidfd, childTid, parentTid, exitSignal, stack, stackSize, tls uint64 }{flags: flags, exitSignal: uint64(unix.SIGCHLD)}
	return fork(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&arguments)), unsafe.Sizeof(arguments))
}

func clone(flags uintptr) error {
	return fork(unix.SYS_CLONE, flags|uintptr(unix.SIGCHLD), 0)
}

//go:norace
func fork(call, a, b uintptr) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	pid, _, errno := syscall.RawSyscall6(call, a, b, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		for {
			_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return err
}

func setnsToOwn() error {
	// Its own: those of pid 1 cannot even be opened, because it is not dumpable.
	fd, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Setns(fd, unix.CLONE_NEWNET)
}

func readMemoryOfFirst() error {
	local, remote := make([]byte, 8), []unix.RemoteIovec{{Base: 0x400000, Len: 8}}
	_, err := unix.ProcessVMReadv(1, []unix.Iovec{{Base: &local[0], Len: 8}}, remote, 0)
	return err
}

func perfEventOpen() error {
	attributes := &unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}
	fd, err := unix.PerfEventOpen(attributes, 0, -1, -1, 0)
	return closing(fd, err)
}

func ioUringSetup() error {
	var parameters [120]byte
	return raw(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&parameters)), 0)
}

func socket(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	return closing(fd, err)
}

func closing(fd int, err error) error {
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

func mknod(path string, kind uint32, major uint32) error {
	err := unix.Mknod(path, kind|0o666, int(unix.Mkdev(major, 1)))
	if err == nil {
		_ = os.Remove(path)
	}
	return err
}

func raiseOpenFiles() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Max++
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

func write(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	_, err = unix.Write(fd, []byte(text))
	return err
}

// read says ENODATA for a file without content, as /dev/null in its place is.
func read(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	n, err := unix.Read(fd, make([]byte, 64))
	if err == nil && n == 0 {
		return unix.ENODATA
	}
	return err
}
