package path

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
)

func TestTheKernelLooksWhereTheWalkDoes(t *testing.T) {
	dir := t.TempDir()
	_ = os.MkdirAll(dir+"/real/deep", 0o755)
	_ = os.WriteFile(dir+"/real/file", nil, 0o755)
	_ = os.Symlink("real", dir+"/link")
	_ = os.Symlink(dir+"/link/file", dir+"/absolute")
	_ = os.Symlink("gone", dir+"/dangling")
	_ = os.Symlink("loop", dir+"/loop")
	_ = os.Symlink("/proc/self/root", dir+"/a")
	_ = os.Symlink("a/etc", dir+"/b")
	for name, want := range map[string]fault.Kind{
		"/": fault.None, "/proc/self/status": fault.None, "/proc/mounts": fault.None,
		dir + "/link/file": fault.None, dir + "/absolute": fault.None, dir + "/link/deep/../file": fault.None, dir + "/real/": fault.None,
		dir + "/missing": fault.NotFound, dir + "/dangling": fault.NotFound, dir + "/missing/below": fault.NotFound,
		dir + "/real/file/below": fault.Invalid, dir + "/loop": fault.Invalid,
		"/proc/self/exe": fault.Denied, "/proc/self/root/etc": fault.Denied, "/proc/self/fd/0": fault.Denied,
		"/proc/thread-self/root/bin/sh": fault.Denied, dir + "/a/etc": fault.Denied, dir + "/b": fault.Denied,
		"relative": fault.Invalid, "/\x00": fault.Invalid, "/" + strings.Repeat("x/", 2048): fault.Exhausted,
	} {
		st, err := Stat(name)
		if kind := fault.KindOf(err); kind != want {
			t.Errorf("%.60q: %v (%v), not %v", name, kind, err, want)
		}
		// Where the kernel has no such call, the first look walks, and the second remembers.
		withoutOpenat2.Store(true)
		for _, look := range []string{"walked", "remembered"} {
			again, err := Stat(name)
			if kind := fault.KindOf(err); kind != want || err == nil && (again.Dev != st.Dev || again.Ino != st.Ino) {
				t.Errorf("%s: %.60q: %v (%v), not %v", look, name, kind, err, want)
			}
		}
		withoutOpenat2.Store(false)
		if err != nil {
			continue
		}
		place, err := Find(name, true)
		if err != nil {
			t.Errorf("%s: the walk says %v", name, err)
			continue
		}
		if walked, err := StatAt(place); err != nil || walked.Dev != st.Dev || walked.Ino != st.Ino {
			t.Errorf("%s: %v %v", name, walked, err)
		}
		place.Close()
	}
}

func TestAPathThatNowLeadsThroughAKernelLinkIsNotTakenFromMemory(t *testing.T) {
	withoutOpenat2.Store(true)
	defer withoutOpenat2.Store(false)
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := os.WriteFile(dir+"/"+name, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_ = os.Symlink(dir+"/one", dir+"/link")
	if _, err := Stat(dir + "/link"); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(dir + "/link")
	_ = os.Symlink("/proc/self/root"+dir+"/two", dir+"/link")
	if _, err := Stat(dir + "/link"); fault.KindOf(err) != fault.Denied {
		t.Errorf("%v", err)
	}
	for i := range 2 * maxRemembered {
		name := fmt.Sprint(dir, "/", i)
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Stat(name); err != nil {
			t.Error(err)
		}
	}
	if n := len(walked.files); n > maxRemembered {
		t.Errorf("%d files are remembered", n)
	}
}

func TestADirectoryIsOpenedUnderItsCanonicalPath(t *testing.T) {
	dir := t.TempDir()
	_ = os.MkdirAll(dir+"/real/deep", 0o755)
	_ = os.WriteFile(dir+"/real/file", nil, 0o755)
	_ = os.Symlink("real", dir+"/link")
	_ = os.Symlink(dir+"/link/deep", dir+"/absolute")
	_ = os.Symlink("real/file", dir+"/toFile")
	for name, want := range map[string]string{
		"/": "/", "/..": "/", dir: dir, dir + "/real/": dir + "/real", dir + "/link/deep": dir + "/real/deep",
		dir + "/absolute": dir + "/real/deep", dir + "/real/deep/..": dir + "/real", dir + "/real/deep/../../link/.": dir + "/real",
	} {
		fd, full, err := Directory(name)
		if err != nil || full != want {
			t.Errorf("%s: %q %v, not %q", name, full, err, want)
			continue
		}
		var there, wanted unix.Stat_t
		if err := errors.Join(unix.Fstat(fd, &there), unix.Stat(want, &wanted)); err != nil || there.Ino != wanted.Ino || there.Dev != wanted.Dev {
			t.Errorf("%s: another directory, %v", name, err)
		}
		_ = unix.Close(fd)
	}
	for name, want := range map[string]fault.Kind{
		dir + "/missing": fault.NotFound, dir + "/missing/below": fault.NotFound, dir + "/real/file": fault.Invalid, dir + "/toFile": fault.Invalid,
		"/proc/self/cwd": fault.Denied, "/proc/self/root": fault.Denied, "relative": fault.Invalid,
	} {
		if fd, full, err := Directory(name); fault.KindOf(err) != want {
			t.Errorf("%s: %d %q %v, not %v", name, fd, full, err, want)
		}
	}
}
