package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// outside is a network namespace beside the tests' own, which has no way out either: what sandboxes reach lives there.
var outside *os.File

// hostAddress and hostAddress6 are the gateway's own, on the network of what sandboxes reach.
const (
	hostAddress  = "203.0.113.1"
	hostAddress6 = "2001:db8::1"
)

// TestMain moves the tests into network namespaces without a way out: a control that is broken fails a test and sends
// nothing to a real network.
func TestMain(m *testing.M) {
	const inside = "EGRESS_TEST_INSIDE"
	if os.Getenv(inside) == "" {
		again := exec.Command("/proc/self/exe", os.Args[1:]...)
		again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
		again.Env = append(os.Environ(), inside+"=1")
		again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		if os.Getuid() != 0 {
			again.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			again.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			again.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		err := again.Run()
		var exit *exec.ExitError
		switch {
		case err == nil:
			os.Exit(0)
		case errors.As(err, &exit):
			os.Exit(exit.ExitCode())
		}
		fmt.Println("SKIPPED, ALL OF THEM: the tests need network namespaces of their own:", err)
		os.Exit(0)
	}
	if err := makeOutside(); err != nil {
		fmt.Println("the network of the tests can't be made:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func makeOutside() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	if outside, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return err
	}
	ip := func(args string) error {
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
		return nil
	}
	// A child starts in the namespace of the thread that starts it.
	return errors.Join(
		ip(fmt.Sprintf("link add inner type veth peer name outer netns /proc/%d/fd/%d", os.Getpid(), own.Fd())),
		ip("link set lo up"), ip("link set inner up"),
		ip("addr add 203.0.113.7/24 dev inner"), ip("addr add 203.0.113.8/24 dev inner"), ip("addr add 203.0.113.53/24 dev inner"),
		ip("addr add 10.1.2.3/32 dev inner"), ip("addr add 169.254.169.254/32 dev inner"),
		ip("addr add 2001:db8::7/64 dev inner nodad"),
		unix.Setns(int(own.Fd()), unix.CLONE_NEWNET),
		ip("link set lo up"), ip("link set outer up"),
		ip("addr add "+hostAddress+"/24 dev outer"), ip("addr add "+hostAddress6+"/64 dev outer nodad"),
		ip("route add 10.0.0.0/8 via 203.0.113.7"), ip("route add 169.254.0.0/16 via 203.0.113.7"),
	)
}

// inOutside runs something in the namespace of what sandboxes reach.
func inOutside(t testing.TB, do func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		// The thread isn't unlocked, and ends with the goroutine.
		runtime.LockOSThread()
		if err := unix.Setns(int(outside.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// listenOutside listens where sandboxes reach.
func listenOutside(t testing.TB, address string) *net.TCPListener {
	t.Helper()
	var listener net.Listener
	inOutside(t, func() (err error) {
		var config net.ListenConfig
		listener, err = config.Listen(context.Background(), "tcp", address)
		return err
	})
	t.Cleanup(func() { _ = listener.Close() })
	return listener.(*net.TCPListener)
}
