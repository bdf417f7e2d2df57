package files

import (
	"os"
	"strings"
	"testing"

	"stacyvm/native/internal/account"
	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/fault"
)

func newFiles() *Files {
	return &Files{Limits: bound.Default(), Accounts: &account.Database{}}
}

func TestGlobMatchesAsItsPatternSays(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/b/c.go", "a/c.go", "a/c.md", "d/{x}", "a/.hidden", "d/e*f"} {
		_ = os.MkdirAll(dir+"/"+name[:strings.LastIndexByte(name, '/')], 0o755)
		if err := os.WriteFile(dir+"/"+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_ = os.Symlink("..", dir+"/a/loop")
	for pattern, want := range map[string]string{
		"a/*.go": "a/c.go", "**/*.go": "a/b/c.go a/c.go", "a/**/c.go": "a/b/c.go a/c.go", "a/c.{go,md}": "a/c.go a/c.md",
		"{a,d}/?.m[c-e]": "a/c.md", "a/.h*": "a/.hidden", "d/{x}": "d/{x}", `d/e\*f`: "d/e*f", "none/*": "", "a/b": "a/b",
		"{a/{b/c,c}.go,d/zz}": "a/b/c.go a/c.go",
	} {
		got, truncated, err := newFiles().Glob(dir+"/"+pattern, 0)
		joined := strings.ReplaceAll(strings.Join(got, " "), dir+"/", "")
		if err != nil || truncated || joined != want {
			t.Errorf("%s: %q %v %v", pattern, joined, truncated, err)
		}
	}
}

func TestBadAndExplosivePatternsAreRefused(t *testing.T) {
	for _, pattern := range []string{"relative", "/[", "/a\x00", ""} {
		if _, _, err := newFiles().Glob(pattern, 0); err == nil {
			t.Errorf("%q is accepted", pattern)
		}
	}
	full := "/" + strings.Repeat("{a,b}", 7) + "{a,b"
	if _, _, err := newFiles().Glob(full+"}", 0); err != nil {
		t.Errorf("%d alternatives: %v", maxAlternatives, err)
	}
	for _, pattern := range []string{"/{" + strings.Repeat(",", maxAlternatives) + "}", full + ",c}", "/" + strings.Repeat("{a,b}", 800)} {
		_, _, err := newFiles().Glob(pattern, 0)
		mustExceed(t, "glob-alternatives", err)
	}
	f := newFiles()
	f.Limits.GlobVisits = 3
	dir := t.TempDir()
	for _, name := range []string{"1", "2", "3"} {
		_ = os.WriteFile(dir+"/"+name, nil, 0o644)
	}
	if _, _, err := f.Glob(dir+"/*", 0); err != nil {
		t.Errorf("at the bound: %v", err)
	}
	_ = os.WriteFile(dir+"/4", nil, 0o644)
	if _, _, err := f.Glob(dir+"/*", 0); fault.KindOf(err) != fault.Exhausted {
		t.Errorf("glob-visits: %v", err)
	}
}

func FuzzGlob(f *testing.F) {
	dir := f.TempDir()
	_ = os.MkdirAll(dir+"/a/b", 0o755)
	_ = os.WriteFile(dir+"/a/b/c.txt", nil, 0o644)
	for _, seed := range []string{"**/*.txt", "{a,b}/[a-z]*", `\{`, "{{,},", "a//./**/**/c.*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		if strings.Contains(pattern, "..") {
			return
		}
		got, _, err := newFiles().Glob(dir+"/"+pattern, 100)
		for _, name := range got {
			if err != nil || !strings.HasPrefix(name, dir) {
				t.Errorf("%q gave %q, %v", pattern, name, err)
			}
		}
	})
}
