// Command wall-probe runs inside a sandbox for the provider suite and the attacks of test/security. `calls` attempts what
// a sandbox may not do and prints, as one JSON object, what the kernel answered to each attempt, and `call` tries one;
// `swap` exchanges two names until it is killed; `listen` runs a program for each TCP connection to an address; `connect`
// and `dial` say what came of connecting, `speak` is spoken to by them; `share` and `shared` do it by System V memory;
// `pipe` and `race` write into a file that can only be read; `load` takes as much as it gets; `deaf` is hard to end.
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

type command struct {
	arguments string
	least     int
	run       func(args []string) error
}

var commands = map[string]command{
	"calls": {"", 0, func([]string) error {
		answers := map[string]string{}
		for name, attempt := range attempts {
			answers[name] = nameOf(attempt())
		}
		return json.NewEncoder(os.Stdout).Encode(answers)
	}},
	"call": {"NAME", 1, func(args []string) error { return say(call(args[0])) }},
	"swap": {"NAME NAME", 2, func(args []string) error {
		for {
			if err := exchange(args[0], args[1]); err != nil {
				return err
			}
		}
	}},
	"listen":  {"ADDRESS PROGRAM [ARGUMENT…]", 2, func(args []string) error { return listen(args[0], args[1:]) }},
	"connect": {"PATH", 1, func(args []string) error { return say(connect(args[0])) }},
	"dial":    {"NETWORK ADDRESS", 2, func(args []string) error { return say(dial(args[0], args[1])) }},
	"speak":   {"NETWORK ADDRESS TEXT", 3, func(args []string) error { return speak(args[0], args[1], args[2]) }},
	"share":   {"KEY TEXT", 2, func(args []string) error { return say(share(args[0], args[1])) }},
	"shared":  {"KEY", 1, func(args []string) error { return say(shared(args[0])) }},
	"pipe":    {"PATH", 1, func(args []string) error { return say(overwriteByPipe(args[0])) }},
	"race":    {"PATH", 1, func(args []string) error { return say(overwriteByRace(args[0])) }},
	"who": {"", 0, func([]string) error {
		_, err := fmt.Println("uid", os.Getuid(), "euid", os.Geteuid(), "gid", os.Getgid(), "egid", os.Getegid())
		return err
	}},
	"deaf": {"DAEMONS", 1, func(args []string) error { return deaf(args[0]) }},
	"load": {"KIND NUMBER [keep]", 2, func(args []string) error { return load(args[0], args[1], len(args) > 2) }},
}

func run(args []string) error {
	if len(args) > 0 {
		if one, known := commands[args[0]]; known && len(args) > one.least {
			return one.run(args[1:])
		}
	}
	for name, one := range commands {
		fmt.Fprintln(os.Stderr, "  wall-probe", name, one.arguments)
	}
	return fmt.Errorf("usage: one of the above")
}

func call(name string) error {
	for _, table := range []map[string]func() error{attempts, others} {
		if attempt, known := table[name]; known {
			return attempt()
		}
	}
	return fmt.Errorf("no call %q", name)
}

func say(err error) error {
	fmt.Println(nameOf(err))
	return nil
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
