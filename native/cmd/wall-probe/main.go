// Command wall-probe runs inside a sandbox for the provider suite. `calls` attempts what a sandbox may not do and
// prints, as one JSON object, what the kernel answered to each attempt; `swap` exchanges two names until it is killed;
// `listen` runs a program for each TCP connection to an address.
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
			if err := unix.Renameat2(unix.AT_FDCWD, args[1], unix.AT_FDCWD, args[2], unix.RENAME_EXCHANGE); err != nil {
				return err
			}
		}
	case len(args) > 2 && args[0] == "listen":
		return listen(args[1], args[2:])
	}
	return fmt.Errorf("usage: wall-probe calls | swap NAME NAME | listen ADDRESS PROGRAM [ARGUMENT…]")
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
