// Command stacyvm-egress is the gateway of all sandboxes to the networks outside. The server starts it, under a user of
// its own, tells it JSON lines on stdin, and reads answers and events on stdout; it ends with its stdin.
//
// `stacyvm-egress forward` is the proxy of what the server itself asks: with a program and its arguments for that program
// alone, else for whoever knows the password in the address that it prints, until its stdin ends.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"stacyvm/native/internal/egress"
	"stacyvm/native/internal/egress/forward"
)

func main() {
	err := run(os.Args[1:], os.Stdin, os.Stdout)
	var ended forward.Ended
	if errors.As(err, &ended) {
		os.Exit(int(ended))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stacyvm-egress:", err)
		os.Exit(1)
	}
}

func run(args []string, input io.Reader, output io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case forward.Inside:
			return forward.Enter(args[1:])
		case "forward":
			return runForward(args[1:], input, output)
		}
	}
	return runGateway(args, input, output)
}

func runGateway(args []string, input io.Reader, output io.Writer) error {
	flags := flag.NewFlagSet("stacyvm-egress", flag.ContinueOnError)
	isRootAllowed := flags.Bool("allow-root", false, "run as root, which a gateway needs for nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if rest := flags.Args(); len(rest) > 0 {
		return fmt.Errorf("unexpected arguments: %s", strings.Join(rest, " "))
	}
	if !*isRootAllowed && (os.Getuid() == 0 || os.Geteuid() == 0) {
		return errors.New("runs as root: start it as another user, or say --allow-root")
	}
	if err := settle(); err != nil {
		return err
	}
	gateway, err := egress.New(output)
	if err != nil {
		return err
	}
	return gateway.Serve(input)
}
