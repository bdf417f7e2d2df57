// Command stacyvm-agent is the first process in every sandbox and its only door.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] != "serve" {
		fmt.Fprintln(os.Stderr, "usage: stacyvm-agent serve --listen-fd N | --listen-unix PATH | --stdio [flags]")
		os.Exit(2)
	}
	if err := serve(os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "stacyvm-agent:", err)
		os.Exit(1)
	}
}
