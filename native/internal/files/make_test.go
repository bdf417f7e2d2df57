package files

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
)

// deep is a path of so many bytes below a directory, of as many names as it can have.
func deep(dir string, bytes int) string { return dir + strings.Repeat("/d", (bytes-len(dir))/2) }

func TestParentsAreMadeHoweverDeepAndThroughLinks(t *testing.T) {
	f, dir := newFiles(), t.TempDir()
	if made, err := f.Mkdir(Mkdir{Path: deep(dir, 4095), Parents: true}); err != nil || !made {
		t.Fatal(made, err)
	}
	if made, err := f.Mkdir(Mkdir{Path: deep(dir, 4095), Parents: true}); err != nil || made {
		t.Error("again:", made, err)
	}
	_ = os.Symlink("d/d", dir+"/link")
	_ = os.Symlink("missing", dir+"/dangling")
	_ = os.WriteFile(dir+"/file", nil, 0o644)
	for name, want := range map[string]string{
		"/link/a/b/c": "/d/d/a/b/c", "/dangling/x": "/missing/x", "/n//./o/../p": "/n/p", "/q/../../" + dir[strings.LastIndex(dir, "/")+1:] + "/r": "/r",
	} {
		if _, err := f.Mkdir(Mkdir{Path: dir + name, Parents: true}); err != nil {
			t.Error(name, err)
		}
		if st, err := os.Lstat(dir + want); err != nil || !st.IsDir() {
			t.Error(name, err)
		}
	}
	for _, name := range []string{"/file/x", "/file/x/y/z"} {
		if _, err := f.Mkdir(Mkdir{Path: dir + name, Parents: true}); fault.KindOf(err) != fault.Invalid {
			t.Error(name, err)
		}
	}
}

// TestADeepPathCostsWhatItsDirectoriesCost compares processor time, which other work on the machine hardly lengthens.
func TestADeepPathCostsWhatItsDirectoriesCost(t *testing.T) {
	f, one, other := newFiles(), t.TempDir(), t.TempDir()
	start := cpuTime(t)
	fd, err := unix.Open(one, unix.O_PATH, 0)
	for range strings.Count(deep(one, 2000), "/d") {
		if err == nil {
			err = unix.Mkdirat(fd, "d", 0o755)
		}
		below, openErr := unix.Openat(fd, "d", unix.O_PATH, 0)
		_ = unix.Close(fd)
		if fd = below; err != nil || openErr != nil {
			t.Fatal(err, openErr)
		}
	}
	_ = unix.Close(fd)
	plain := cpuTime(t) - start
	if _, err := f.Mkdir(Mkdir{Path: deep(other, 2000), Parents: true}); err != nil {
		t.Fatal(err)
	}
	if made := cpuTime(t) - start - plain; made > 4*plain+200*time.Millisecond {
		t.Errorf("%s, and the directories alone %s", made, plain)
	}
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
