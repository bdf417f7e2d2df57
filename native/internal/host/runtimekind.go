package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// runtimeKind says what wall an OCI runtime makes, and so how its agent is reached.
type runtimeKind string

const (
	kindContainer runtimeKind = "container" // runc, crun: the host's kernel
	kindGVisor    runtimeKind = "gvisor"    // runsc: a kernel in user space
	kindKata      runtimeKind = "kata"      // a virtual machine
)

// kindOf reads the first line of what a runtime says of itself; its file may have any name.
func kindOf(version string) runtimeKind {
	switch first, _, _ := strings.Cut(strings.ToLower(version), " "); {
	case first == "runsc":
		return kindGVisor
	case strings.HasPrefix(first, "kata"):
		return kindKata
	}
	return kindContainer
}

// runtimeVersion returns the first line of what the runtime says of itself.
func (h *Host) runtimeVersion(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, h.options.RuntimePath, "--version")
	command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	output, err := command.Output()
	line, _, _ := strings.Cut(string(output), "\n")
	return line, err
}

// runtimeKind asks the runtime until it has answered once.
func (h *Host) runtimeKind(ctx context.Context) (runtimeKind, error) {
	if known := h.kind.Load(); known != nil {
		return *known, nil
	}
	version, err := h.runtimeVersion(ctx)
	if err != nil {
		return "", fail(codeUnavailable, "%s does not run: %v", h.options.RuntimePath, err)
	}
	kind := kindOf(version)
	h.kind.Store(&kind)
	return kind, nil
}

// missingForKind says what the runtime's kind of wall lacks here.
func missingForKind(kind runtimeKind, runtimePath string) []string {
	if kind != kindKata {
		return nil
	}
	missing := []string{fmt.Sprintf(
		"%s is Kata, whose sandboxes cannot be reached: nothing of the host's descriptors and sockets comes into its machines; use runsc or runc: providers.oci.runtime",
		runtimePath)}
	if _, err := os.Stat("/dev/kvm"); err != nil {
		missing = append(missing, "Kata's machines need /dev/kvm, which this host lacks; use one with hardware virtualisation")
	}
	return missing
}

// kindArgs are what a kind of runtime is told before its verb, ahead of the operator's own.
func kindArgs(kind runtimeKind) []string {
	if kind != kindGVisor {
		return nil
	}
	// The agent's socket may be made outside, and none that is there be opened; the root is on the sandbox's own disk,
	// which bounds it; the syscall filter stands between programs and gVisor's kernel.
	return []string{"--network=none", "--host-uds=create", "--overlay2=none", "--oci-seccomp"}
}
