package fork

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const slackNs = 70_000

// run starts a program with one pipe as stdout and stderr, and waits for both.
func run(t *testing.T, argv []string, sys *syscall.SysProcAttr) (said string, status syscall.WaitStatus, err error) {
	t.Helper()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	attr := &syscall.ProcAttr{Env: []string{"A=1"}, Files: []uintptr{null.Fd(), write.Fd(), write.Fd()}, Sys: sys}
	pid, err := Forker{SlackNs: slackNs}.Start(argv[0], argv, attr)
	_ = write.Close()
	if err != nil {
		return "", 0, err
	}
	all, _ := io.ReadAll(read)
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
			return string(all), status, err
		}
	}
}

func TestAProgramStartsAsAnyOther(t *testing.T) {
	script := `echo "$A $1"; cat /proc/self/timerslack_ns; cut -d " " -f 1,6 /proc/$$/stat; exit 3`
	said, status, err := run(t, []string{"/bin/sh", "-c", script, "name", "argument"}, &syscall.SysProcAttr{Setsid: true})
	if err != nil || status.ExitStatus() != 3 {
		t.Fatal(status, err)
	}
	rest, found := strings.CutPrefix(said, "1 argument\n70000\n")
	fields := strings.Fields(rest)
	if !found || len(fields) != 2 || fields[0] != fields[1] {
		t.Errorf("variable and argument, timer slack, own number and session: %q", said)
	}
}

func TestAProgramStartsWithNoSignalBlockedOrCaught(t *testing.T) {
	// No shell: some of them unblock signals.
	said, _, err := run(t, []string{"/bin/cat", "/proc/self/status"}, &syscall.SysProcAttr{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"SigBlk", "SigIgn", "SigCgt"} {
		if !strings.Contains(said, name+":\t0000000000000000\n") {
			t.Errorf("%s: %s", name, said)
		}
	}
}

func TestAProgramThatCannotStartIsTold(t *testing.T) {
	directory := t.TempDir()
	noExec := directory + "/text"
	if err := os.WriteFile(noExec, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	for program, want := range map[string]syscall.Errno{
		directory + "/missing": syscall.ENOENT, directory: syscall.EACCES, noExec: syscall.ENOEXEC,
	} {
		if _, _, err := run(t, []string{program}, &syscall.SysProcAttr{}); !errors.Is(err, want) {
			t.Errorf("%s: %v, not %v", program, err, want)
		}
	}
	if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
		t.Error("a child that did not start is left")
	}
	attr := &syscall.ProcAttr{Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{}}
	if pid, err := (Forker{}).Start("/bin/true", []string{"true"}, attr); err == nil {
		t.Errorf("descriptors below 3 were taken for process %d", pid)
	}
}

func TestAProgramTakesTheTerminalAndTheUser(t *testing.T) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(master)
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		t.Fatal(errno)
	}
	sys := &syscall.SysProcAttr{Setsid: true, Setctty: true}
	want := ""
	if os.Geteuid() == 0 {
		sys.Credential = &syscall.Credential{Uid: 12345, Gid: 23456, Groups: []uint32{23456, 34567}}
		want = "12345 23456 23456 34567"
	}
	argv := []string{"/bin/sh", "-c", `echo "$(id -u) $(id -g) $(id -G)" > /dev/tty; read wait`}
	pid, err := Forker{SlackNs: slackNs}.Start(argv[0], argv, &syscall.ProcAttr{Files: []uintptr{slave, slave, slave}, Sys: sys})
	_ = unix.Close(int(slave))
	if err != nil {
		t.Fatal(err)
	}
	said, _ := bufio.NewReader(os.NewFile(uintptr(master), "terminal")).ReadString('\n')
	said = strings.TrimSpace(said)
	if said == "" || want != "" && said != want {
		t.Errorf("%q, not %q", said, want)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
		t.Error(err)
	}
}

func TestManyStartAtOnceBesideABusyProgram(t *testing.T) {
	stop := make(chan struct{})
	var busy, all sync.WaitGroup
	for range 4 {
		busy.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = make([]byte, 1<<16)
				}
			}
		})
	}
	for range 16 {
		all.Go(func() {
			for range 10 {
				said, status, err := run(t, []string{"/bin/echo", "here"}, &syscall.SysProcAttr{Setsid: true})
				if err != nil || said != "here\n" || status != 0 {
					t.Errorf("%q %v %v", said, status, err)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	busy.Wait()
}
