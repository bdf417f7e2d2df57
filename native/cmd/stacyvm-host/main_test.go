package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"stacyvm/native/internal/host"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == host.MockInit {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestArgumentsOneByteLongerThanTheirBoundAreRefused(t *testing.T) {
	list := func(length int) error {
		var output strings.Builder
		return run([]string{"list", "--data", t.TempDir()}, strings.NewReader("{}"+strings.Repeat(" ", length-2)), &output)
	}
	if err := list(maxArgsBytes); err != nil {
		t.Error(err)
	}
	var failure *host.Failure
	if err := list(maxArgsBytes + 1); !errors.As(err, &failure) || failure.Code != "invalid" || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("one byte more: %v", err)
	}
}

func TestMockInitByHandChangesNothing(t *testing.T) {
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"/mnt", "16", "changed", "true"}, {"/", "x", "changed", "false"}} {
		command := exec.Command(os.Args[0], append([]string{host.MockInit}, args...)...)
		// As a shell or a request would start it: with nothing but the three streams.
		if err := command.Run(); err == nil {
			t.Errorf("%v: it ran", args)
		}
	}
	now, _ := os.Hostname()
	mountsNow, _ := os.ReadFile("/proc/self/mounts")
	if now != hostname || string(mountsNow) != string(mounts) {
		t.Errorf("the host changed: %s %s", now, mountsNow)
	}
}
