package archive

import (
	"archive/tar"
	"bytes"
	"os"
	"strings"
	"testing"

	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/fault"
)

func TestAnArchiveOneDirectoryTooDeepIsRefusedBothWays(t *testing.T) {
	for depth, kind := range map[int]fault.Kind{maxDepth: fault.None, maxDepth + 1: fault.Invalid} {
		name := strings.Repeat("d/", depth)
		_, _, err := unpackInto(t, tarOf(t, tar.Header{Typeflag: tar.TypeDir, Name: name}), Plain, bound.Default())
		if fault.KindOf(err) != kind {
			t.Errorf("unpack %d: %v", depth, err)
		}
	}
	for depth, kind := range map[int]fault.Kind{maxDepth: fault.None, maxDepth + 1: fault.Exhausted} {
		dir := t.TempDir()
		if err := os.MkdirAll(dir+strings.Repeat("/d", depth), 0o700); err != nil {
			t.Fatal(err)
		}
		root, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if _, err := (Pack{Limits: bound.Default()}).Directory(root, &out); fault.KindOf(err) != kind {
			t.Errorf("pack %d: %v", depth, err)
		}
		_ = root.Close()
	}
}
