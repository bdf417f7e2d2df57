// Command wall-probe runs inside a sandbox for the provider suite. `calls` attempts what a sandbox may not do and
// prints, as one JSON object, what the kernel answered to each attempt; `swap` exchanges two names until it is killed;
// `listen` runs a program for each TCP connection to an address; `connect` says what came of connecting to a unix socket.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "calls":
		answers := map[string]string{}
		for name, attempt := range attempts {
			answers[name] = nameOf(attempt())
		}
		return json.NewEncoder(os.Stdout).Encode(answers)
	case len(args) == 3 && args[0] == "swap":
		for {
			if err := exchange(args[1], args[2]); err != nil {
				return err
			}
		}
	case len(args) > 2 && args[0] == "listen":
		return listen(args[1], args[2:])
	case len(args) == 2 && args[0] == "connect":
		fmt.Println(nameOf(connect(args[1])))
		return nil
	}
	return fmt.Errorf("usage: wall-probe calls | swap NAME NAME | listen ADDRESS PROGRAM [ARGUMENT…] | connect PATH")
}

// exchange does it at once where the kernel can; gVisor's can't.
func exchange(one, other string) error {
	err := unix.Renameat2(unix.AT_FDCWD, one, unix.AT_FDCWD, other, unix.RENAME_EXCHANGE)
	if err != unix.EINVAL && err != unix.ENOSYS {
		return err
	}
	aside := one + ".aside"
	for _, step := range [][2]string{{one, aside}, {other, one}, {aside, other}} {
		for err := os.Rename(step[0], step[1]); err != nil; err = os.Rename(step[0], step[1]) {
			if os.IsNotExist(err) {
				return err
			}
			// Somebody made a directory of that name meanwhile, and may be at it still.
			_ = os.RemoveAll(step[1])
		}
	}
	return nil
}

func connect(path string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Connect(fd, &unix.SockaddrUnix{Name: path})
}

func nameOf(err error) string {
	if err == nil {
		return "done"
	}
	if number, ok := err.(unix.Errno); ok {
		return unix.ErrnoName(number)
	}
	return err.Error()
}
