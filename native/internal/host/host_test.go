package host

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

func testRoot(t *testing.T) dataRoot {
	t.Helper()
	d, err := openDataRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func codeOf(err error) string {
	var f *Failure
	if errors.As(err, &f) {
		return f.Code
	}
	return ""
}

func TestStatIsReadAroundAHostileName(t *testing.T) {
	fields := make([]string, 30)
	for i := range fields {
		fields[i] = strconv.Itoa(i)
	}
	fields[0], fields[19] = "Z", "4711"
	ticks, zombie, err := parseStat([]byte("12 (a) S 1 (b) c) " + strings.Join(fields, " ")))
	if err != nil || ticks != 4711 || !zombie {
		t.Errorf("got %d, %v, %v", ticks, zombie, err)
	}
	for _, malformed := range []string{"", "1 (x", "1 (x) S 1", "1 (x) " + strings.Repeat("y ", 30)} {
		if _, _, err := parseStat([]byte(malformed)); err == nil {
			t.Errorf("%q was accepted", malformed)
		}
	}
}

func TestTwoSandboxesNeverShareARangeOfUsers(t *testing.T) {
	d := testRoot(t)
	var (
		wait  sync.WaitGroup
		mutex sync.Mutex
		taken = map[int]bool{}
	)
	for i := range 100 {
		wait.Go(func() {
			// The same hash for all would be the worst case; neighbours are bad enough.
			slot, err := claimSlot(d, "sb-"+strconv.Itoa(i%10))
			mutex.Lock()
			defer mutex.Unlock()
			if err != nil || taken[slot] {
				t.Errorf("slot %d, %v", slot, err)
			}
			taken[slot] = true
		})
	}
	wait.Wait()
	for i := range 10 {
		if err := releaseSlots(d, "sb-"+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if left, _ := os.ReadDir(d.slots()); len(left) != 0 {
		t.Errorf("%d slots are left", len(left))
	}
}

func TestNoRangeOfUsersHoldsAUserOfTheHost(t *testing.T) {
	if slotBase(0) < 1<<16 || slotBase(slotCount-1)+idsPerSandbox > 0x7ffe0000 {
		t.Errorf("ranges are %#x to %#x", slotBase(0), slotBase(slotCount-1)+idsPerSandbox)
	}
}

func TestARequestCannotChooseRootUsersCgroupOrHooks(t *testing.T) {
	for _, config := range []string{
		`{"linux":{},"root":{"path":"/"}}`, `{"linux":{},"hooks":{}}`, `{"linux":{"uidMappings":[]}}`,
		`{"linux":{"gidMappings":[]}}`, `{"linux":{"cgroupsPath":"/"}}`, `{}`, `[]`, ``,
	} {
		if _, err := completeSpec(json.RawMessage(config), "/r", "/c", 1); codeOf(err) != codeInvalid {
			t.Errorf("%s: %v", config, err)
		}
	}
	spec, err := completeSpec(json.RawMessage(`{"linux":{"seccomp":{}},"hostname":"h"}`), "/r", "/c", 70000)
	want := `{"hostname":"h","linux":{"cgroupsPath":"/c","gidMappings":[{"containerID":0,"hostID":70000,"size":65536}],"seccomp":{},` +
		`"uidMappings":[{"containerID":0,"hostID":70000,"size":65536}]},"root":{"path":"/r","readonly":false}}`
	if err != nil || string(spec) != want {
		t.Errorf("got %s, %v", spec, err)
	}
}

func TestArgumentsAreReadStrictly(t *testing.T) {
	h, err := New(Options{DataRoot: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ verb, args string }{
		{"destroy", `{"sandbox_id":"sb-1","more":1}`}, {"destroy", `{"sandbox_id":"../x"}`}, {"destroy", `{"sandbox_id":""}`},
		{"destroy", `{"sandbox_id":"a"} {}`}, {"inspect", `{"sandbox_id":"A"}`}, {"usage", `{"sandbox_id":"a/b"}`},
		{"console", `{"sandbox_id":".."}`}, {"spawn", `{"sandbox_id":"a","rootfs_path":"/etc"}`},
		{"spawn-mock", `{"sandbox_id":"a","disk_mb":1}`}, {"run", `{}`}, {"", `{}`},
	} {
		if _, err := h.Do(context.Background(), c.verb, json.RawMessage(c.args)); codeOf(err) != codeInvalid {
			t.Errorf("%s %s: %v", c.verb, c.args, err)
		}
	}
}

func TestAnImageTreeLiesWhereImagesLie(t *testing.T) {
	root := t.TempDir()
	h, err := New(Options{DataRoot: root})
	if err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(root, "images", "a")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(root, "images", "link")); err != nil {
		t.Fatal(err)
	}
	if err := h.checkTree(tree); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/", root, root + "/images/../../etc", root + "/images/link", root + "/images/none", "images/a", root + "x"} {
		if err := h.checkTree(path); codeOf(err) != codeInvalid {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestServeAnswersEachRequestAndEndsWithItsInput(t *testing.T) {
	h, err := New(Options{DataRoot: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var output strings.Builder
	input := `{"id":1,"verb":"list"}` + "\n" + `{"id":2,"verb":"inspect","args":{"sandbox_id":"none"}}` + "\n"
	if err := h.Serve(context.Background(), strings.NewReader(input), &output); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"id":1,"ok":[]}`, `{"id":2,"error":{"code":"missing"`} {
		if !strings.Contains(output.String(), want) {
			t.Errorf("%q lacks %q", output.String(), want)
		}
	}
	if err := h.Serve(context.Background(), strings.NewReader(`{"id":1,"verb":"list","x":1}`), &output); codeOf(err) != codeInvalid {
		t.Errorf("an unknown field was accepted: %v", err)
	}
}

func TestADataRootThatNoSocketFitsInIsRefused(t *testing.T) {
	for _, path := range []string{"/" + strings.Repeat("x", 80), "relative", "/a:b", "/a,b", "/a/../b"} {
		if _, err := openDataRoot(path); codeOf(err) != codeInvalid {
			t.Errorf("%s: %v", path, err)
		}
	}
}
