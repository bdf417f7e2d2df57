package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/path"
)

// nested makes so many directories, each in the one before.
func nested(t *testing.T, depth int) string {
	t.Helper()
	top := filepath.Join(t.TempDir(), "top")
	if err := os.MkdirAll(top+strings.Repeat("/d", depth-1), 0o700); err != nil {
		t.Fatal(err)
	}
	return top
}

func TestARemovalOneDirectoryTooDeepIsRefused(t *testing.T) {
	f := &Files{Limits: bound.Default()}
	for depth, goes := range map[int]bool{maxRemoveDepth: true, maxRemoveDepth + 1: false} {
		top := nested(t, depth)
		if err := f.Remove(top, true); (err == nil) != goes {
			t.Errorf("%d: %v", depth, err)
		}
		if _, err := os.Stat(top); os.IsNotExist(err) != goes {
			t.Errorf("%d: %v", depth, err)
		}
	}
}

func TestAMoveAcrossFileSystemsOneDirectoryTooDeepLeavesBothAsTheyWere(t *testing.T) {
	for depth, goes := range map[int]bool{maxCopyDepth: true, maxCopyDepth + 1: false} {
		top, target := nested(t, depth), filepath.Join(t.TempDir(), "moved")
		from, err := path.Find(top, false)
		if err != nil {
			t.Fatal(err)
		}
		to, err := path.Find(target, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := (&Files{Limits: bound.Default()}).copyAcross(from, to); (err == nil) != goes || !goes && err != unix.ENAMETOOLONG {
			t.Errorf("%d: %v", depth, err)
		}
		if _, err := os.Stat(top + strings.Repeat("/d", depth-1)); os.IsNotExist(err) != goes {
			t.Errorf("%d: the source: %v", depth, err)
		}
		if left, err := os.ReadDir(filepath.Dir(target)); err != nil || len(left) == 1 != goes {
			t.Errorf("%d: the target: %v %v", depth, left, err)
		}
		from.Close()
		to.Close()
	}
}
