package host

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestACopyIsTheImageWithoutItsPowersAndNothingOfItIsShared(t *testing.T) {
	image, copied := filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "copy")
	for _, directory := range []string{"", "closed", "sticky"} {
		if err := os.Mkdir(filepath.Join(image, directory), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]uint32{"plain": 0o640, "setuid": 0o4755, "setgid": 0o2755, "closed/file": 0o600} {
		if err := os.WriteFile(filepath.Join(image, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := unix.Chmod(filepath.Join(image, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Symlink("/etc/passwd", filepath.Join(image, "link")), os.Symlink("closed", filepath.Join(image, "inside")),
		os.Link(filepath.Join(image, "plain"), filepath.Join(image, "second")), unix.Mkfifo(filepath.Join(image, "fifo"), 0o600),
		unix.Chmod(filepath.Join(image, "sticky"), 0o1777), unix.Chmod(filepath.Join(image, "closed"), 0o500),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := copyTree(context.Background(), image, copied, -1); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(copied)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if want := []string{"closed", "inside", "link", "plain", "second", "setgid", "setuid", "sticky"}; !slices.Equal(names, want) {
		t.Errorf("%q, not %q", names, want)
	}
	stat := func(tree, name string) unix.Stat_t {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(tree, name), &st); err != nil {
			t.Error(err)
		}
		return st
	}
	for name, mode := range map[string]uint32{
		"plain": 0o640, "setuid": 0o755, "setgid": 0o755, "closed": 0o500, "closed/file": 0o600, "sticky": 0o1777,
	} {
		if got := stat(copied, name); got.Mode&0o7777 != mode || got.Ino == stat(image, name).Ino {
			t.Errorf("%s: %o, inode %d", name, got.Mode, got.Ino)
		}
	}
	if stat(copied, "plain").Ino != stat(copied, "second").Ino {
		t.Error("two names of one file have become two files")
	}
	for name, want := range map[string]string{"link": "/etc/passwd", "inside": "closed"} {
		if target, err := os.Readlink(filepath.Join(copied, name)); err != nil || target != want {
			t.Errorf("%s leads to %q: %v", name, target, err)
		}
	}
	if err := os.WriteFile(filepath.Join(copied, "setuid"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(filepath.Join(image, "setuid")); err != nil || string(content) != "setuid" {
		t.Errorf("the image has %q: %v", content, err)
	}
	if err := removeTree(copied); err != nil || exists(copied) {
		t.Errorf("the copy stays: %v", err)
	}
}

func TestNothingIsMadeThroughALinkOfTheImage(t *testing.T) {
	outside, root := t.TempDir(), t.TempDir()
	for _, name := range []string{"dev", "proc", "tmp", "workspace"} {
		if err := os.Symlink(outside, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := (furnisher{root: root, owner: -1}).furnish(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 0 {
		t.Errorf("made outside: %v %v", left, err)
	}
	for _, name := range []string{"null", "tty", "pts", "ptmx", "fd"} {
		if !exists(filepath.Join(root, "dev", name)) {
			t.Errorf("no /dev/%s", name)
		}
	}
}

func TestACopyThatIsWithdrawnEnds(t *testing.T) {
	image := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := copyTree(ctx, image, filepath.Join(t.TempDir(), "copy"), -1); err == nil {
		t.Error("it went on")
	}
}
