package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAFileSystemThatCannotMapOwnersIsNamedWithAWayOut(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	directory := t.TempDir()
	for _, name := range []string{"one", "other", "overlay"} {
		if err := os.Mkdir(filepath.Join(directory, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	users, err := openUserNamespace(slotBase(0))
	if err != nil {
		t.Skip("no user namespaces:", err)
	}
	defer unix.Close(users)
	target := filepath.Join(directory, "overlay")
	err = inPrivateMounts(func() error {
		// An overlay never can.
		layers := fmt.Sprintf("lowerdir=%s/one:%s/other", directory, directory)
		if err := unix.Mount("overlay", target, "overlay", unix.MS_RDONLY, layers); err != nil {
			return err
		}
		_, err := idmappedClone(target, users)
		return err
	})
	if err == nil || codeOf(err) != codeUnavailable || !strings.Contains(err.Error(), "images.store_dir") {
		t.Errorf("%v", err)
	}
}
