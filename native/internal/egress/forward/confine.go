package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// firstPort is where a confined program finds the proxy, unless a known host has it: then at the next that none has.
const firstPort = 3128

// inside is the proxy's address in a network that holds nothing else but known hosts of the loopback.
func inside(known []string) string {
	port := firstPort
	for slices.ContainsFunc(known, func(one string) bool { return strings.HasSuffix(one, ":"+strconv.Itoa(port)) }) {
		port++
	}
	return "127.0.0.1:" + strconv.Itoa(port)
}

// place is where something listens in the network of a confined program, and the known host that it stands for.
type place struct {
	At string `json:"at"`
	To string `json:"to"`
}

// loopbacks are the known hosts on this host's loopback: programs take no proxy to them, so they have places of their own,
// one for those that are at the same.
func loopbacks(known []string) []place {
	var places []place
	add := func(one place) {
		if !slices.ContainsFunc(places, func(other place) bool { return other.At == one.At }) {
			places = append(places, one)
		}
	}
	for _, authority := range known {
		host, port, err := net.SplitHostPort(authority)
		if err != nil {
			continue
		}
		literal, err := netip.ParseAddr(host)
		switch {
		case host == "localhost":
			add(place{net.JoinHostPort("127.0.0.1", port), authority})
		case err == nil && literal.IsLoopback():
			add(place{net.JoinHostPort(literal.Unmap().String(), port), authority})
		}
	}
	return places
}

// Run starts a program that reaches nothing but what the client lets it, and returns once it has ended, with an Ended unless
// by 0. It ends with this one. Where the host lets this user make no network, the program has the proxy in its environment alone.
func Run(config Config, program string, args []string) error {
	forward, err := New(config, os.Stderr)
	if err != nil {
		return err
	}
	// The program ends with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	places := append([]place{{At: inside(config.Known)}}, loopbacks(config.Known)...)
	child, listeners, err := start(forward, places, program, args)
	if err != nil {
		return err
	}
	for i, listener := range listeners {
		if i == 0 {
			go func() { _ = forward.Serve(listener) }()
			continue
		}
		go forward.relay(listener, places[i].To)
	}
	return howEnded(child.Wait())
}

// errRefused: the host made the namespaces and lets nobody use them.
var errRefused = errors.New("the host refuses a network of its own")

// isRefused tells that from what else can go wrong, after which nothing is run.
func isRefused(err error) bool {
	for _, one := range []error{errRefused, unix.EPERM, unix.EACCES, unix.ENOSPC, unix.EUSERS, unix.EINVAL} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// start makes the program a network of its own. Where the host refuses that, to a user or to a container's root, the program
// stays in this host's network.
func start(forward *Forward, places []place, program string, args []string) (*exec.Cmd, []net.Listener, error) {
	for _, namespaces := range []uintptr{unix.CLONE_NEWUSER | unix.CLONE_NEWNET, unix.CLONE_NEWNET} {
		child, listeners, err := startConfined(forward, places, program, args, namespaces)
		if err == nil || !isRefused(err) {
			return child, listeners, err
		}
	}
	return startBeside(forward, program, args)
}

func startConfined(forward *Forward, places []place, program string, args []string, namespaces uintptr) (*exec.Cmd, []net.Listener, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "places"), os.NewFile(uintptr(pair[1]), "places")
	defer ours.Close()
	told, err := json.Marshal(places)
	if err != nil {
		return nil, nil, err
	}
	child := command("/proc/self/exe", append([]string{Inside, string(told), program}, args...), forward.address(places[0].At))
	child.ExtraFiles = []*os.File{theirs}
	child.SysProcAttr.Cloneflags = namespaces
	if namespaces&unix.CLONE_NEWUSER != 0 {
		uid, gid := os.Geteuid(), os.Getegid()
		child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}}
		child.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}}
	}
	child.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_BIND_SERVICE}
	err = child.Start()
	_ = theirs.Close()
	if err != nil {
		return nil, nil, err
	}
	listeners, err := receive(ours, len(places))
	if err != nil {
		_ = child.Process.Kill()
		_ = child.Wait()
		return nil, nil, err
	}
	return child, listeners, nil
}

// startBeside leaves a program in this host's network.
func startBeside(forward *Forward, program string, args []string) (*exec.Cmd, []net.Listener, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	child := command(program, args, forward.Address(listener.Addr()))
	return child, []net.Listener{listener}, child.Start()
}

func command(program string, args []string, proxy string) *exec.Cmd {
	child := exec.Command(program, args...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.Env = append(withoutProxies(os.Environ()), "HTTP_PROXY="+proxy, "HTTPS_PROXY="+proxy)
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return child
}

func withoutProxies(environment []string) []string {
	var kept []string
	for _, pair := range environment {
		name, _, _ := strings.Cut(pair, "=")
		switch strings.ToUpper(name) {
		case "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", Variable:
		default:
			kept = append(kept, pair)
		}
	}
	return kept
}

// receive takes the listeners that the child made in its network.
func receive(from *os.File, count int) ([]net.Listener, error) {
	rights := make([]byte, unix.CmsgSpace(4*count))
	var done [1]byte
	_, n, _, _, err := unix.Recvmsg(int(from.Fd()), done[:], rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if done[0] == refused {
		return nil, errRefused
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return nil, errors.New("the program's network was not made")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	var listeners []net.Listener
	for _, fd := range fds {
		file := os.NewFile(uintptr(fd), "listener")
		listener, err := net.FileListener(file)
		_ = file.Close()
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, listener)
	}
	if len(listeners) != count {
		return nil, fmt.Errorf("%d places of %d were made", len(listeners), count)
	}
	return listeners, nil
}

// Ended is how a program ended, other than by 0: its exit code, or 128 and a signal.
type Ended int

func (e Ended) Error() string { return fmt.Sprintf("the program ended with %d", int(e)) }

func howEnded(err error) error {
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		return err
	}
	if status, ok := ended.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return Ended(128 + int(status.Signal()))
	}
	return Ended(ended.ExitCode())
}
