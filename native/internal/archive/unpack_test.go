package archive

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/fault"
)

func tarOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		h.Mode = 0o755
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// unpackInto unpacks below a folder of its own, beside which is a canary.
func unpackInto(t testing.TB, stream []byte, compression Compression, limits bound.Limits) (outside string, done Unpacked, err error) {
	t.Helper()
	outside = t.TempDir()
	if err := os.WriteFile(outside+"/canary", []byte("safe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(outside+"/folder", 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.Open(outside + "/folder")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	done, err = Unpack{Limits: limits, Root: root, Made: true}.Decompress(bytes.NewReader(stream), compression)
	return outside, done, err
}

func TestEachArchiveBoundHoldsAndIsNamed(t *testing.T) {
	limits := bound.Default()
	limits.ArchiveEntries, limits.ArchiveHeaderBytes, limits.ArchiveKeptBytes = 3, 4096, 2*(len("a/")+keptSlackBytes)
	directory := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name} }
	file := func(name string) tar.Header { return tar.Header{Typeflag: tar.TypeReg, Name: name} }
	long := func(n int) tar.Header {
		return tar.Header{Typeflag: tar.TypeReg, Name: "x", PAXRecords: map[string]string{"VENDOR.x": strings.Repeat("x", n)}}
	}
	for name, c := range map[string]struct {
		within, beyond []tar.Header
	}{
		"archive-entries":      {[]tar.Header{file("a"), file("b"), file("c")}, []tar.Header{file("a"), file("b"), file("c"), file("d")}},
		"archive-kept-bytes":   {[]tar.Header{directory("a/"), directory("b/")}, []tar.Header{directory("a/"), directory("bb/")}},
		"archive-header-bytes": {[]tar.Header{long(2000)}, []tar.Header{long(4096)}},
	} {
		if _, _, err := unpackInto(t, tarOf(t, c.within...), Plain, limits); err != nil {
			t.Errorf("%s: within: %v", name, err)
		}
		_, _, err := unpackInto(t, tarOf(t, c.beyond...), Plain, limits)
		if fault.KindOf(err) != fault.Exhausted || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: beyond: %v", name, err)
		}
	}
	if _, _, err := unpackInto(t, append(tarOf(t), make([]byte, maxBehindBytes)...), Plain, limits); err != nil {
		t.Errorf("behind the end: %v", err)
	}
	if _, _, err := unpackInto(t, append(tarOf(t), make([]byte, maxBehindBytes+1)...), Plain, limits); fault.KindOf(err) != fault.Invalid {
		t.Errorf("beyond the end: %v", err)
	}
}

func TestAWindowThatIsTooLargeIsRefused(t *testing.T) {
	// A frame whose header asks for a window of 16 MiB.
	_, _, err := unpackInto(t, []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 14 << 3, 1, 0, 0}, Zstd, bound.Default())
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "window") {
		t.Errorf("%v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	link := tar.Header{Typeflag: tar.TypeSymlink, Name: "way", Linkname: ".."}
	for _, headers := range [][]tar.Header{
		{{Typeflag: tar.TypeDir, Name: "d/"}, {Typeflag: tar.TypeReg, Name: "d/f", Size: 600}},
		{link, {Typeflag: tar.TypeReg, Name: "way/canary", Size: 1}},
		{{Typeflag: tar.TypeReg, Name: "../canary", Size: 1}},
		{{Typeflag: tar.TypeReg, Name: strings.Repeat("long/", 60) + "f"}, {Typeflag: tar.TypeLink, Name: "l", Linkname: "../canary"}},
		{{Typeflag: tar.TypeFifo, Name: "fifo"}},
	} {
		f.Add(tarOf(f, headers...), byte(0))
	}
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"), byte(1))
	f.Add([]byte("\x28\xb5\x2f\xfd\x00\x58\x00\x00"), byte(2))
	limits := bound.Default()
	limits.ArchiveEntries = 50
	f.Fuzz(func(t *testing.T, stream []byte, form byte) {
		compression := []Compression{Plain, Gzip, Zstd}[form%3]
		outside, _, err := unpackInto(t, stream, compression, limits)
		if kind := fault.KindOf(err); kind == fault.Internal {
			t.Errorf("a failure without a reason: %v", err)
		}
		content, readErr := os.ReadFile(outside + "/canary")
		if readErr != nil || string(content) != "safe" {
			t.Errorf("the canary: %q %v", content, readErr)
		}
		beside, _ := filepath.Glob(outside + "/*")
		if slices.Sort(beside); len(beside) != 2 {
			t.Errorf("beside the folder: %q", beside)
		}
		_ = filepath.WalkDir(outside, func(name string, entry os.DirEntry, err error) error {
			if err == nil && strings.HasPrefix(entry.Name(), ".stacyvm-") {
				t.Errorf("left: %s", name)
			}
			return nil
		})
	})
}
