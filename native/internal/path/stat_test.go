package path

import (
	"os"
	"strings"
	"testing"

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
