package host

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// listensVariable names the socket at which a process started by these tests listens, in place of an agent.
const listensVariable = "STACYVM_TEST_LISTENS_AT"

// TestListensInPlaceOfAnAgent is what the tests here start: it takes a network device and prints its name and its neighbours'.
func TestListensInPlaceOfAnAgent(t *testing.T) {
	path := os.Getenv(listensVariable)
	if path == "" {
		t.Skip("started by other tests")
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("listens\n")
	conn, err := listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	var kind [1]byte
	control := make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.ReadMsgUnix(kind[:], control)
	if err != nil {
		t.Fatal(err)
	}
	messages, _ := unix.ParseSocketControlMessage(control[:n])
	rights, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		t.Fatal(err)
	}
	request, _ := unix.NewIfreq("")
	if err := unix.IoctlIfreq(rights[0], unix.TUNGETIFF, request); err != nil {
		t.Fatal(err)
	}
	words := []string{string(kind[:]), request.Name()}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range interfaces {
		words = append(words, each.Name)
	}
	os.Stdout.WriteString(strings.Join(words, " ") + "\n")
}

// stand starts that process in namespaces as the flags say, and returns what reads its next line, once it listens.
func stand(t *testing.T, path string, flags uintptr) (line func() string) {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestListensInPlaceOfAnAgent$")
	command.Env = append(os.Environ(), listensVariable+"="+path)
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = command.Process.Kill(), command.Wait() })
	line = func() string {
		var read []byte
		for one := make([]byte, 1); ; {
			if n, err := out.Read(one); n == 0 || one[0] == '\n' || err != nil {
				return string(read)
			}
			read = append(read, one[0])
		}
	}
	if said := line(); said != "listens" {
		t.Fatalf("it says %q", said)
	}
	return line
}

func doorDirectory(t *testing.T, h *Host, id string) string {
	t.Helper()
	dir := filepath.Join(h.root.egressDoors(), id)
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

func tunHost(t *testing.T) *Host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	if missing := missingForTUN(); missing != "" {
		t.Skip(missing)
	}
	return newHost(t)
}

func TestTheDeviceIsMadeWhereTheAgentListens(t *testing.T) {
	h := tunHost(t)
	dir := doorDirectory(t, h, "sb-1")
	door := filepath.Join(dir, egressSocketName)
	line := stand(t, door, syscall.CLONE_NEWNET|syscall.CLONE_NEWPID)
	if _, err := call(t, h, "egress-tun", TunRequest{SandboxID: "sb-1"}); err != nil {
		t.Fatal(err)
	}
	if said := line(); said != "T eth0 lo eth0" {
		t.Errorf("it got %q", said)
	}
	for path, mode := range map[string]uint32{dir: unix.S_IFDIR | 0o700, door: unix.S_IFSOCK | 0o600} {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil || st.Mode != mode || int(st.Uid) != h.root.gatewayUser() || int(st.Gid) != h.root.gatewayUser() {
			t.Errorf("%s: mode %o of %d:%d, %v", path, st.Mode, st.Uid, st.Gid, err)
		}
	}
}

func TestNoDeviceIsMadeInTheHostsNetworkNorBesideAnother(t *testing.T) {
	h := tunHost(t)
	interfaces := func() int {
		all, _ := net.Interfaces()
		return len(all)
	}
	before := interfaces()
	for id, c := range map[string]struct {
		flags uintptr
		again bool
		want  string
	}{
		"sb-host":  {want: "this host's network"},
		"sb-twice": {flags: syscall.CLONE_NEWNET, again: true, want: "has a network already: eth0"},
	} {
		door := filepath.Join(doorDirectory(t, h, id), egressSocketName)
		stand(t, door, c.flags)
		if c.again {
			process, err := listenerAt(t, door)
			if err != nil {
				t.Fatal(err)
			}
			device, err := makeDeviceFor(process)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(device)
		}
		if _, err := call(t, h, "egress-tun", TunRequest{SandboxID: id}); codeOf(err) != codeFailed || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if now := interfaces(); now != before {
		t.Errorf("%d interfaces of the host became %d", before, now)
	}
}

func listenerAt(t *testing.T, path string) (process int, err error) {
	t.Helper()
	conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	t.Cleanup(func() { unix.Close(conn) })
	if err := unix.Connect(conn, &unix.SockaddrUnix{Name: path}); err != nil {
		return -1, err
	}
	return listenerOf(conn)
}

// The number of a process that has ended may be another's by then, one of the host's among them.
func TestAnAgentThatHasEndedIsNotTakenForWhoeverHasItsNumber(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(conn)
	if err := unix.Connect(conn, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	process, err := listenerOf(conn)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(process)
	// As with the end of the process; the number is a living one's still.
	listener.Close()
	if _, err := listenerOf(conn); codeOf(err) != codeFailed {
		t.Errorf("got %v", err)
	}
}

func TestWhatLiesAtADoorMustBeOneSocketAndNothingElse(t *testing.T) {
	h := tunHost(t)
	elsewhere := filepath.Join(t.TempDir(), "socket")
	victim, err := net.Listen("unix", elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	for id, make := range map[string]func(dir string) error{
		"sb-none":  func(string) error { return nil },
		"sb-link":  func(dir string) error { return os.Symlink(elsewhere, filepath.Join(dir, egressSocketName)) },
		"sb-file":  func(dir string) error { return os.WriteFile(filepath.Join(dir, egressSocketName), nil, 0o600) },
		"sb-other": func(dir string) error { return os.Symlink(elsewhere, filepath.Join(dir, "other")) },
		"sb-both": func(dir string) error {
			listener, err := net.Listen("unix", filepath.Join(dir, egressSocketName))
			if err == nil {
				t.Cleanup(func() { listener.Close() })
			}
			return os.WriteFile(filepath.Join(dir, "more"), nil, 0o600)
		},
	} {
		if err := make(doorDirectory(t, h, id)); err != nil {
			t.Fatal(err)
		}
		if _, err := call(t, h, "egress-tun", TunRequest{SandboxID: id}); codeOf(err) != codeFailed {
			t.Errorf("%s: %v", id, err)
		}
	}
	if err := os.Symlink(filepath.Dir(elsewhere), filepath.Join(h.root.egressDoors(), "sb-away")); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"sb-away", "sb-missing"} {
		if _, err := call(t, h, "egress-tun", TunRequest{SandboxID: id}); codeOf(err) != codeFailed {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, path := range []string{elsewhere, filepath.Dir(elsewhere)} {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil || st.Uid != 0 {
			t.Errorf("what a link names was given away: %s to %d, %v", path, st.Uid, err)
		}
	}
}
