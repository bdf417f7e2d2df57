package ports

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestATableIsReadNoFurtherThanItsBound(t *testing.T) {
	name := t.TempDir() + "/tcp"
	if err := os.WriteFile(name, []byte(strings.Repeat("x", maxTableBytes+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := len(read(name, maxTableBytes)); got != maxTableBytes {
		t.Errorf("%d bytes", got)
	}
}

func TestOnePortTooManyIsNotTold(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < maxPorts+100 {
		t.Skipf("%d open files are too few", limit.Cur)
	}
	for range maxPorts + 1 {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = listener.Close() }()
	}
	if got := len(Listening()); got != maxPorts {
		t.Errorf("%d ports", got)
	}
}

func TestOneDescriptorTooManyIsNotLookedAt(t *testing.T) {
	proc := t.TempDir()
	dir := proc + "/7/fd/"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var sockets []socket
	const budget = 9 // as maxDescriptors of /proc, which has fewer
	for n := range budget + 1 {
		inode := strconv.Itoa(n)
		sockets = append(sockets, socket{inode: inode})
		if err := os.Symlink("socket:["+inode+"]", dir+inode); err != nil {
			t.Fatal(err)
		}
	}
	for _, looked := range []int{budget, budget + 1} {
		if got := len(owners(proc, sockets, looked)); got != looked {
			t.Errorf("%d owners by %d descriptors", got, looked)
		}
	}
	if maxDescriptors != 100_000 {
		t.Errorf("%d descriptors", maxDescriptors)
	}
}
