package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Each takes as much of one thing as it was told to, and no more, says as `made N` how much it got and what stopped it,
// and stays until it is killed if it is told to `keep`.
var loads = map[string]func(wanted int) (made int, err error){
	"processes": func(wanted int) (int, error) { return repeat(wanted, forkWaiting) },
	"zombies":   func(wanted int) (int, error) { return repeat(wanted, forkOrphan) },
	"threads":   threads,
	"memory":    func(wanted int) (int, error) { return repeat(wanted, touchMebibyte) },
	"files":     func(wanted int) (int, error) { return repeat(wanted, openFile) },
	"pipes":     func(wanted int) (int, error) { return repeat(wanted, fillPipe) },
	"inodes":    func(wanted int) (int, error) { return makeFiles(wanted) },
}

func load(kind string, wanted string, keep bool) error {
	run, known := loads[kind]
	number, err := strconv.Atoi(wanted)
	if !known || err != nil {
		return fmt.Errorf("no load %s %s", kind, wanted)
	}
	made, err := run(number)
	fmt.Printf("made %d %s\n", made, nameOf(err))
	if keep {
		select {}
	}
	return nil
}

func repeat(wanted int, one func() error) (int, error) {
	for made := range wanted {
		if err := one(); err != nil {
			return made, err
		}
		// What is killed meanwhile has said how far it came.
		if made%16 == 15 {
			fmt.Printf("made %d so far\n", made+1)
		}
	}
	return wanted, nil
}

// forkWaiting makes a child that waits for ever.
//
//go:norace
func forkWaiting() error {
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	for pid == 0 {
		_, _, _ = syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
	return nil
}

// forkOrphan makes a grandchild that ends when its parent has, so that it is the first process's to reap.
//
//go:norace
func forkOrphan() error {
	syscall.ForkLock.Lock()
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		_, _, _ = syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		for {
			_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	syscall.ForkLock.Unlock()
	if errno != 0 {
		return errno
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return err
}

// threads ends the program where the kernel refuses one: what it printed so far stands.
func threads(wanted int) (int, error) {
	started := make(chan struct{})
	for made := range wanted {
		go func() {
			runtime.LockOSThread()
			started <- struct{}{}
			for {
				time.Sleep(time.Hour)
			}
		}()
		<-started
		if made%16 == 15 {
			fmt.Printf("made %d so far\n", made+1)
		}
	}
	return wanted, nil
}

func touchMebibyte() error {
	memory, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	for at := 0; at < len(memory); at += 4096 {
		memory[at] = 1
	}
	return nil
}

func openFile() error {
	_, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	return err
}

// fillPipe holds memory of the kernel.
func fillPipe() error {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return err
	}
	// Who holds many gets small ones.
	if n, err := unix.Write(ends[1], make([]byte, 64<<10)); err != nil || n == 64<<10 {
		return err
	}
	return unix.ENOSPC
}

func makeFiles(wanted int) (int, error) {
	made := 0
	return repeat(wanted, func() error {
		made++
		fd, err := unix.Open("/workspace/inode-"+strconv.Itoa(made), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
		return closing(fd, err)
	})
}

// deaf ignores every signal that can be ignored, as do its children, each of which has left its session and its parent.
func deaf(daemons string) error {
	number, err := strconv.Atoi(daemons)
	if err != nil {
		return err
	}
	for _, one := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGQUIT} {
		signal.Ignore(one)
	}
	for range number {
		if err := daemon(); err != nil {
			return err
		}
	}
	fmt.Printf("made %d done\n", number)
	for {
		time.Sleep(time.Hour)
	}
}
