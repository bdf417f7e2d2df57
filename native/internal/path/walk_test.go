package path

import (
	"os"
	"strings"
	"testing"

	"stacyvm/native/internal/fault"
)

func TestAWalkEndsWhereTheKernelWould(t *testing.T) {
	dir := t.TempDir()
	_ = os.MkdirAll(dir+"/real/deep", 0o755)
	_ = os.Symlink("real", dir+"/link")
	_ = os.Symlink(dir+"/real/deep", dir+"/absolute")
	_ = os.Symlink("loop", dir+"/loop")
	for name, want := range map[string]string{
		"/link/deep": "/real/deep", "/absolute": "/real/deep", "/link/../x": "/x", "/real/./deep/../new": "/real/new", "/absolute/..": "/real",
	} {
		place, err := Find(dir+name, true)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if place.Full != dir+want {
			t.Errorf("%s: %s", name, place.Full)
		}
		place.Close()
	}
	if place, err := Find(dir+"/link", false); err != nil || place.Full != dir+"/link" {
		t.Errorf("a link itself: %v %v", place, err)
	}
	if _, err := Find(dir+"/loop", true); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a loop: %v", err)
	}
	for _, name := range []string{"/..", "/../../..", "/"} {
		if place, err := Find(name, true); err != nil || place.Full != "/" {
			t.Errorf("%s: %v %v", name, place, err)
		}
	}
}

func TestKernelLinksAreNeverFollowed(t *testing.T) {
	dir := t.TempDir()
	_ = os.Symlink("/proc/self/root", dir+"/a")
	_ = os.Symlink("a/etc", dir+"/b")
	for _, name := range []string{"/proc/self/root/etc", "/proc/self/cwd", "/proc/self/fd/0", "/proc/thread-self/root/etc", dir + "/a/etc", dir + "/b"} {
		if _, err := Find(name, true); fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	if place, err := Find("/proc/self/status", true); err != nil || strings.Contains(place.Full, "self") {
		t.Errorf("an ordinary link of procfs: %v %v", place, err)
	}
}

func TestAWalkThroughLinksLeavesNothingOpen(t *testing.T) {
	dir := t.TempDir()
	_ = os.WriteFile(dir+"/file", nil, 0o644)
	_ = os.Symlink("file", dir+"/link")
	_ = os.Symlink("loop", dir+"/loop")
	_ = os.Symlink("/proc/self/cwd", dir+"/kernel")
	for _, name := range []string{"/link", "/loop", "/kernel", "/file", "/missing"} {
		for _, follow := range []bool{true, false} {
			if place, err := Find(dir+name, follow); err == nil {
				place.Close()
			}
		}
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range open {
		if target, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(target, dir) {
			t.Errorf("still open: %s", target)
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, seed := range []string{"/", "/..", "/proc/self/../self/root", "//tmp/.//x", "x", "/\x00", "/proc/self/fd/3/../.."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		place, err := Find(name, true)
		if err != nil {
			return
		}
		defer place.Close()
		if !strings.HasPrefix(place.Full, "/") || strings.Contains(place.Full+"/", "/../") {
			t.Errorf("%q became %q", name, place.Full)
		}
	})
}
