package path

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"stacyvm/native/internal/fault"
)

func TestAPathOneByteLongerThanItsBoundIsRefused(t *testing.T) {
	if err := Check("/" + strings.Repeat("x", 4094)); err != nil {
		t.Error(err)
	}
	if err := Check("/" + strings.Repeat("x", 4095)); fault.KindOf(err) != fault.Exhausted || !strings.Contains(err.Error(), "path-bytes") {
		t.Errorf("one byte more: %v", err)
	}
}

func TestOneLinkMoreThanTheKernelFollowsIsRefused(t *testing.T) {
	dir := t.TempDir()
	_ = os.WriteFile(dir+"/0", nil, 0o600)
	for i := range maxLinks + 1 {
		_ = os.Symlink(fmt.Sprint(i), fmt.Sprintf("%s/%d", dir, i+1))
	}
	last := fmt.Sprintf("%s/%d", dir, maxLinks)
	place, err := Find(last, true)
	if err != nil || place.Full != dir+"/0" {
		t.Errorf("at the bound: %v %v", place, err)
	}
	if _, err := os.Stat(last); err != nil {
		t.Errorf("the kernel: %v", err)
	}
	more := fmt.Sprintf("%s/%d", dir, maxLinks+1)
	if place, err := Find(more, true); fault.KindOf(err) != fault.Invalid {
		t.Errorf("one more: %v %v", place, err)
	}
	if _, err := os.Stat(more); err == nil {
		t.Error("the kernel follows more")
	}
}

func TestOneComponentMoreThanAWalkMayTakeIsRefused(t *testing.T) {
	dir := t.TempDir()
	_ = os.MkdirAll(dir+"/d", 0o700)
	// Each link goes in and out of a directory, and on to the next one; the last one's way is of any length.
	const most = 4000 / len("d/../")
	left := maxWork - len(Components(dir)) - len("l")
	links := 0
	for ; left > 2*most+1; links++ {
		_ = os.Symlink(strings.Repeat("d/../", most)+fmt.Sprint("l", links+1), fmt.Sprint(dir, "/l", links))
		left -= 2*most + 1
	}
	if links >= maxLinks {
		t.Fatalf("%d links", links)
	}
	end := fmt.Sprint(dir, "/l", links)
	// "d" alone is one component, "d/../d" three: an even rest goes through the directory's own child.
	_ = os.Mkdir(dir+"/d/d", 0o700)
	way := strings.Repeat("d/../", (left-1)/2) + "d"
	if left%2 == 0 {
		way += "/d"
	}
	for target, fits := range map[string]bool{way: true, way + "/d": false} {
		_ = os.Remove(end)
		_ = os.MkdirAll(dir+"/d/d/d", 0o700)
		_ = os.Symlink(target, end)
		place, err := Find(dir+"/l0", true)
		if (err == nil) != fits {
			t.Errorf("%v: %v %v", fits, place, err)
		}
	}
}
