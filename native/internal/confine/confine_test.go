package confine

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain also is the process that confines itself and says what is left to it.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "confined" {
		runtime.LockOSThread()
		_ = json.NewEncoder(os.Stdout).Encode(confined(os.Args[2]))
		return
	}
	os.Exit(m.Run())
}

func confined(directory string) map[string]string {
	outside, inside := filepath.Join(directory, "outside"), filepath.Join(directory, "inside")
	err := errors.Join(
		unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), Paths([]Path{{inside, Own}, {"/dev/null", Device}, {"/no/such/file", Own}}),
		BelowTracer(), Apart(), OfTraced(),
	)
	if err != nil {
		return map[string]string{"confine": err.Error()}
	}
	open := func(name string, flags int) error {
		fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0o600)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}
	socket := func(family int) error {
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}
	_, openat2 := unix.Openat2(unix.AT_FDCWD, "/dev/null", &unix.OpenHow{})
	attempts := map[string]error{
		"read inside":    open(inside+"/file", unix.O_RDONLY),
		"write inside":   open(inside+"/new", unix.O_WRONLY|unix.O_CREAT),
		"move inside":    unix.Rename(inside+"/file", inside+"/directory/file"),
		"read outside":   open(outside+"/file", unix.O_RDONLY),
		"write outside":  open(outside+"/new", unix.O_WRONLY|unix.O_CREAT),
		"move outside":   unix.Rename(inside+"/new", outside+"/new"),
		"null":           open("/dev/null", unix.O_RDWR),
		"signal parent":  unix.Kill(os.Getppid(), 0),
		"signal self":    unix.Kill(os.Getpid(), 0),
		"trace parent":   unix.PtraceSeize(os.Getppid()),
		"openat2":        openat2,
		"statx":          unix.Statx(unix.AT_FDCWD, "/", 0, 0, &unix.Statx_t{}),
		"mount":          unix.Mount("x", "/", "tmpfs", 0, ""),
		"unshare":        unix.Unshare(unix.CLONE_NEWUSER),
		"unshare files":  unix.Unshare(unix.CLONE_FILES),
		"packet socket":  socket(unix.AF_PACKET),
		"vsock":          socket(unix.AF_VSOCK),
		"unix socket":    socket(unix.AF_UNIX),
		"terminal input": unix.IoctlSetInt(0, unix.TIOCSTI, 0),
	}
	answers := map[string]string{}
	for name, err := range attempts {
		answers[name] = "done"
		if errno, ok := err.(unix.Errno); ok {
			answers[name] = unix.ErrnoName(errno)
		}
	}
	return answers
}

func TestAConfinedProcessKeepsItsOwnAndReachesNothingElse(t *testing.T) {
	if !BoundsPaths() {
		t.Skip("this kernel has no Landlock")
	}
	directory := t.TempDir()
	for _, name := range []string{"inside/directory", "outside"} {
		if err := os.MkdirAll(filepath.Join(directory, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"inside/file", "outside/file"} {
		if err := os.WriteFile(filepath.Join(directory, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said, err := exec.Command("/proc/self/exe", "confined", directory).Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers map[string]string
	if err := json.Unmarshal(said, &answers); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"read inside": "done", "write inside": "done", "move inside": "done", "null": "done", "unix socket": "done", "signal self": "done",
		"read outside": "EACCES", "write outside": "EACCES", "move outside": "EACCES", "trace parent": "EPERM",
		"openat2": "ENOSYS", "statx": "ENOSYS", "mount": "EPERM", "unshare": "EPERM", "unshare files": "EPERM", "packet socket": "EPERM",
		"vsock": "EPERM", "terminal input": "EPERM", "signal parent": "EPERM",
	}
	if LandlockVersion() < 6 {
		want["signal parent"] = "done"
	}
	for name, answer := range want {
		if answers[name] != answer {
			t.Errorf("%s: %q, not %q", name, answers[name], answer)
		}
	}
	if len(answers) != len(want) {
		t.Errorf("%v", answers)
	}
}
