package host

import (
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// names lists everything below a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			info, _ := entry.Info()
			found = append(found, path+" "+info.Mode().String()+" "+info.ModTime().String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// byID makes the arguments of each verb that takes an id.
var byID = map[string]func(id string) any{
	"destroy":     func(id string) any { return sandboxArgs{SandboxID: id} },
	"inspect":     func(id string) any { return sandboxArgs{SandboxID: id} },
	"usage":       func(id string) any { return sandboxArgs{SandboxID: id} },
	"console":     func(id string) any { return consoleArgs{SandboxID: id, MaxBytes: 100} },
	"spawn":       func(id string) any { return SpawnRequest{SandboxID: id} },
	"spawn-mock":  func(id string) any { return MockRequest{SandboxID: id, DiskMB: minDiskMB} },
	"egress-tun":  func(id string) any { return TunRequest{SandboxID: id} },
	"spawn-proot": func(id string) any { return PRootRequest{SandboxID: id, FileMB: minDiskMB} },
}

func call(t *testing.T, h *Host, verb string, args any) (any, error) {
	t.Helper()
	raw, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	return h.Do(context.Background(), verb, raw)
}

func TestAForgedIDReachesNothing(t *testing.T) {
	outside := t.TempDir()
	h, err := New(Options{DataRoot: filepath.Join(outside, "data")})
	if err != nil {
		t.Fatal(err)
	}
	// Were a check missing, what follows it must not meet the host's own groups.
	h.cgroups = cgroups{unified: t.TempDir()}
	for _, dir := range []string{"canary", "data/canary", "data/run/sb-1", "data/run/sb-1/deeper"} {
		if err := os.MkdirAll(filepath.Join(outside, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside+"/canary", outside+"/data/run/.link"); err != nil {
		t.Fatal(err)
	}
	before := names(t, outside)
	ids := []string{
		"", ".", "..", "../x", "../canary", "../../canary", "/etc", "/", outside + "/canary", "sb-1/deeper", "sb-1/..", "./sb-1", "sb-1/",
		"sb-1\x00", "\x00", "sb-1\n", "\nsb-1", "SB-1", "-sb", ".link", "sb_1", "sb 1", "sb-é", "sb-1\xff", "%2e%2e", "*", strings.Repeat("a", 42),
	}
	for verb, args := range byID {
		for _, id := range ids {
			if got, err := call(t, h, verb, args(id)); codeOf(err) != codeInvalid || !strings.Contains(err.Error(), "sandbox id") {
				t.Errorf("%s %q: %v %v", verb, id, got, err)
			}
		}
	}
	for _, verb := range []string{"inspect", "usage"} {
		if _, err := call(t, h, verb, byID[verb](strings.Repeat("a", 41))); codeOf(err) != codeMissing {
			t.Errorf("%s of the longest id: %v", verb, err)
		}
	}
	if after := names(t, outside); !slices.Equal(before, after) {
		t.Errorf("before %q\nafter %q", before, after)
	}
}

func TestAnUncheckedIDNamesNoCgroup(t *testing.T) {
	for _, id := range []string{"sb-1/..", "..", "a/b", "\x00"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q names %s", id, cgroupPath(id))
				}
			}()
			cgroupPath(id)
		}()
	}
}

func TestEveryVerbThatTakesAnIDIsTriedWithForgedOnes(t *testing.T) {
	for verb := range verbs {
		if _, tried := byID[verb]; !tried && verb != "list" && verb != "probe" && verb != "egress-wall" {
			t.Errorf("%s is not tried", verb)
		}
	}
}

func TestASandboxOfAnotherDataRootIsNotThere(t *testing.T) {
	mine, err := New(Options{DataRoot: filepath.Join(t.TempDir(), "mine")})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := New(Options{DataRoot: filepath.Join(t.TempDir(), "theirs")})
	if err != nil {
		t.Fatal(err)
	}
	lock, err := theirs.claimDirectory(context.Background(), ownerRecord{Provider: "oci", ServerID: "other", SandboxID: "sb-other"})
	if err != nil {
		t.Fatal(err)
	}
	_ = lock.Close()
	// A hierarchy that both see, as both see the host's.
	shared := cgroups{unified: t.TempDir()}
	group := filepath.Join(shared.unified, cgroupPath("sb-other"))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(group, "pids.current"), []byte("7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	mine.cgroups, theirs.cgroups = shared, shared
	if got, err := theirs.Usage("sb-other"); err != nil || got.Processes != 7 {
		t.Errorf("its owner: %v %v", got, err)
	}
	before := names(t, shared.unified)
	for _, verb := range []string{"inspect", "usage"} {
		if got, err := call(t, mine, verb, sandboxArgs{SandboxID: "sb-other"}); codeOf(err) != codeMissing {
			t.Errorf("%s: %v %v", verb, got, err)
		}
	}
	if got, err := call(t, mine, "console", consoleArgs{SandboxID: "sb-other", MaxBytes: 100}); err != nil || got.(*ConsoleAnswer).Text != "" {
		t.Errorf("console: %v %v", got, err)
	}
	if _, err := call(t, mine, "destroy", sandboxArgs{SandboxID: "sb-other"}); err != nil {
		t.Error(err)
	}
	if after := names(t, shared.unified); !slices.Equal(before, after) {
		t.Errorf("a destroy reached another's cgroup: %q", after)
	}
	if _, err := theirs.Inspect(context.Background(), "sb-other"); err != nil {
		t.Error(err)
	}
}

func TestNoRequestBecomesAMockSandboxesFirstProcess(t *testing.T) {
	h, err := New(Options{DataRoot: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{MockInit, PRootInit} {
		if slices.Contains(slices.Collect(maps.Keys(verbs)), name) {
			t.Errorf("%s is a verb", name)
		}
	}
	var output strings.Builder
	input := `{"id":1,"verb":"proot-init","args":{}}` + "\n" + `{"id":2,"verb":"mock-init /mnt 16 sb-1 true"}` + "\n"
	if err := h.Serve(context.Background(), strings.NewReader(input), &output); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"id":1,"error":{"code":"invalid","message":"unknown verb`, `{"id":2,"error":{"code":"invalid","message":"unknown verb`} {
		if !strings.Contains(output.String(), want) {
			t.Errorf("%q lacks %q", output.String(), want)
		}
	}
}
