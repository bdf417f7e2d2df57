package archive

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/fault"
)

func TestAFileThatShrankOrGrewHasTheSizeThatItsHeaderSaid(t *testing.T) {
	name := t.TempDir() + "/f"
	for _, size := range []int64{2, 5, 300_000} {
		if err := os.WriteFile(name, []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		// What the header says was seen before the file changed.
		_, err = Pack{Limits: bound.Default()}.write(&out, func(p *packer) error {
			var st unix.Stat_t
			if err := unix.Fstat(int(file.Fd()), &st); err != nil {
				return err
			}
			st.Size = size
			return p.file(int(file.Fd()), "f", &st)
		})
		_ = file.Close()
		if err != nil {
			t.Fatal(err)
		}
		reader := tar.NewReader(&out)
		if _, err := reader.Next(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(reader)
		want := make([]byte, size)
		copy(want, "12345")
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d: %d bytes, %v", size, len(got), err)
		}
	}
}

func TestAnArchiveOfTooManyEntriesHasNoEnd(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(dir+"/"+name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for limit, want := range map[int]fault.Kind{3: fault.None, 2: fault.Exhausted} {
		root, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		limits := bound.Default()
		limits.ArchiveEntries = limit
		var out bytes.Buffer
		if _, err := (Pack{Limits: limits}).Directory(root, &out); fault.KindOf(err) != want {
			t.Errorf("%d: %v", limit, err)
		}
		if whole := bytes.HasSuffix(out.Bytes(), make([]byte, 2*blockSize)); whole != (want == fault.None) {
			t.Errorf("%d: whole %v", limit, whole)
		}
		_ = root.Close()
	}
}
