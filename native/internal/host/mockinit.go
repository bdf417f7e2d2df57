package host

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/netdevice"
)

// MockInit is the argument with which this program becomes the first process of a mock sandbox.
const MockInit = "mock-init"

// Descriptors of that first process.
const (
	fdListener = 3 + iota
	fdCgroup
	fdAgent
	fdProceed
	fdStatus
	fdLock
)

// mockCapabilities are what the default profile has: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID,
// NET_BIND_SERVICE.
var mockCapabilities = map[uintptr]bool{0: true, 1: true, 3: true, 4: true, 5: true, 6: true, 7: true, 10: true}

// RunMockInit sets up the namespaces that it was started in and becomes the agent. It returns only on failure.
func RunMockInit(args []string) {
	// Capabilities and NoNewPrivs belong to a thread; the agent gets those of the thread that execs it.
	runtime.LockOSThread()
	for fd := fdListener; fd <= fdLock; fd++ {
		unix.CloseOnExec(fd)
	}
	if err := becomeMockAgent(args); err != nil {
		_, _ = unix.Write(fdStatus, []byte(err.Error()))
		os.Exit(1)
	}
}

func becomeMockAgent(args []string) error {
	if len(args) != 4 {
		return fmt.Errorf("wrong arguments")
	}
	diskMB, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	if n, err := unix.Read(fdProceed, make([]byte, 1)); n != 1 {
		return fmt.Errorf("withdrawn: %v", err)
	}
	if err := buildMockTree(args[0], diskMB, func(string) error { return nil }); err != nil {
		return err
	}
	if err := netdevice.RaiseLoopback(); err != nil {
		return fmt.Errorf("raise loopback: %w", err)
	}
	if err := closeNamespaces(args[2]); err != nil {
		return err
	}
	if err := dropCapabilities(mockCapabilities); err != nil {
		return err
	}
	agentArgs := []string{"stacyvm-agent", "serve", "--listen-fd", strconv.Itoa(fdListener)}
	kept := []int{fdListener}
	if args[3] == "true" {
		agentArgs = append(agentArgs, "--cgroup-fd", strconv.Itoa(fdCgroup))
		kept = append(kept, fdCgroup)
	}
	for _, fd := range kept {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	agentArgs = append(agentArgs, "--workdir", "/workspace")
	return syscall.Exec(fmt.Sprintf("/proc/self/fd/%d", fdAgent), agentArgs, []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
}

// closeNamespaces names the host inside and lets no further user namespace come about.
func closeNamespaces(hostname string) error {
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set hostname: %w", err)
	}
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		return fmt.Errorf("forbid user namespaces: %w", err)
	}
	return nil
}

// dropCapabilities leaves what this thread starts these capabilities, and no way to others.
func dropCapabilities(kept map[uintptr]bool) error {
	for capability := uintptr(0); capability <= unix.CAP_LAST_CAP; capability++ {
		if !kept[capability] {
			_ = unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0) // EINVAL: unknown to this kernel; EPERM: not ours to begin with
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}
