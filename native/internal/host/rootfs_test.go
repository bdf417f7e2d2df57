package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNothingOfAnImageLeadsTheRuntimeElsewhere(t *testing.T) {
	elsewhere, upper := t.TempDir(), t.TempDir()
	h := &Host{root: dataRoot{path: t.TempDir()}}
	lower := h.root.mountLower()
	if err := os.MkdirAll(filepath.Join(lower, "sys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(lower, "dev")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(lower, "proc"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.ensureDirectories(upper, os.Getuid(), 0); err != nil {
		t.Fatal(err)
	}
	for name, wanted := range map[string]bool{"dev": true, "proc": true, "sys": false} {
		info, err := os.Lstat(filepath.Join(upper, name))
		if made := err == nil && info.IsDir(); made != wanted {
			t.Errorf("a directory hides the image's %s: %v, wanted %v", name, made, wanted)
		}
	}
}
