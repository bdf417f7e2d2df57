// Command stacyvm-host is the one privileged program of StacyVM: it does for the server what needs mounts, namespaces,
// descriptors and cgroups. It takes JSON, starts no shell, and touches nothing outside its data root.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/host"
)

// maxArgsBytes bounds the arguments of a single verb.
const maxArgsBytes = 1 << 20

// systemPath is where programs are looked up, whatever the caller's environment says.
const systemPath = "/usr/sbin:/usr/bin:/sbin:/bin"

func main() {
	_ = os.Setenv("PATH", systemPath)
	if len(os.Args) > 1 && os.Args[1] == host.MockInit {
		host.RunMockInit(os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == host.PRootInit {
		host.RunPRootInit(os.Args[2:])
	}
	// Whatever the caller left open stays with this program and reaches no sandbox.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		fmt.Fprintln(os.Stderr, "close_range:", err)
		os.Exit(1)
	}
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		var failure *host.Failure
		if !errors.As(err, &failure) {
			failure = &host.Failure{Code: "failed", Message: err.Error()}
		}
		_ = json.NewEncoder(os.Stderr).Encode(failure)
		os.Exit(1)
	}
}

func run(args []string, input io.Reader, output io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: stacyvm-host serve|<verb> --data DIR [flags]")
	}
	options := host.Options{Failpoint: host.FailpointFromEnv()}
	flags := flag.NewFlagSet("stacyvm-host", flag.ContinueOnError)
	flags.StringVar(&options.DataRoot, "data", "/var/lib/stacyvm", "directory of everything this program makes")
	flags.StringVar(&options.ImagesRoot, "images", "", "directory of unpacked images, if not in the data directory")
	flags.StringVar(&options.AgentPath, "agent", "", "the agent's static binary")
	flags.StringVar(&options.RuntimePath, "runtime", "/usr/sbin/runc", "OCI runtime")
	flags.StringVar(&options.PRootPath, "proot", "/usr/bin/proot", "PRoot")
	flags.Func("runtime-arg", "argument before the runtime's verb (repeatable)", func(value string) error {
		options.RuntimeArgs = append(options.RuntimeArgs, value)
		return nil
	})
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if rest := flags.Args(); len(rest) > 0 {
		return fmt.Errorf("unexpected arguments: %s", strings.Join(rest, " "))
	}
	h, err := host.New(options)
	if err != nil {
		return err
	}
	if args[0] == "serve" {
		return h.Serve(context.Background(), input, output)
	}
	raw, err := io.ReadAll(io.LimitReader(input, maxArgsBytes+1))
	if err != nil {
		return err
	}
	if len(raw) > maxArgsBytes {
		return &host.Failure{Code: "invalid", Message: fmt.Sprintf("the arguments are longer than %d bytes", maxArgsBytes)}
	}
	result, err := h.Do(context.Background(), args[0], raw)
	if err != nil {
		return err
	}
	return json.NewEncoder(output).Encode(result)
}
