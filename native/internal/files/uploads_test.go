package files

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
)

func begin(t *testing.T, u *Uploads, name string, size int64) {
	t.Helper()
	if _, err := u.Begin("one", Write{Path: name}, size); err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, u *Uploads, offset int64, content string) {
	t.Helper()
	state, err := u.Append("one", offset, strings.NewReader(content))
	if err != nil || state.Offset != offset+int64(len(content)) {
		t.Fatalf("%v, %v", state, err)
	}
}

// onlyNames are what stands in a directory, whatever its name.
func onlyNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestAnUploadAppearsWholeAtItsCommitAndIsHiddenBefore(t *testing.T) {
	f, dir := newFiles(), t.TempDir()
	u := NewUploads(f)
	mode := uint32(0o751)
	if _, err := u.Begin("one", Write{Path: dir + "/deep/file", Mode: &mode}, 6); err != nil {
		t.Fatal(err)
	}
	send(t, u, 0, "abc")
	partial := onlyNames(t, dir+"/deep")
	st, _ := os.Stat(dir + "/deep/" + partial[0])
	if listed, _ := f.List(dir+"/deep", 1); len(listed) != 0 || len(partial) != 1 || st.Mode() != 0o600 {
		t.Errorf("before the commit: %v listed, %v there, mode %v", listed, partial, st.Mode())
	}
	send(t, u, 3, "def")
	sum := sha256.Sum256([]byte("abcdef"))
	size, got, err := u.Commit("one", hex.EncodeToString(sum[:]))
	if err != nil || size != 6 || got != hex.EncodeToString(sum[:]) {
		t.Fatal(size, got, err)
	}
	content, _ := os.ReadFile(dir + "/deep/file")
	if st, _ := os.Stat(dir + "/deep/file"); string(content) != "abcdef" || st.Mode() != 0o751 || len(onlyNames(t, dir+"/deep")) != 1 {
		t.Errorf("%q, %v, %v", content, st.Mode(), onlyNames(t, dir+"/deep"))
	}
	if _, err := u.Get("one"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("after the commit: %v", err)
	}
}

func TestABodyThatBreaksKeepsWhatArrivedAndTheHashGoesOn(t *testing.T) {
	f, dir := newFiles(), t.TempDir()
	u := NewUploads(f)
	begin(t, u, dir+"/file", UnknownSize)
	broken := io.MultiReader(strings.NewReader("abc"), iotestErr{})
	if state, err := u.Append("one", 0, broken); !errors.Is(err, io.ErrUnexpectedEOF) || state.Offset != 3 {
		t.Fatal(state, err)
	}
	send(t, u, 3, "def")
	sum := sha256.Sum256([]byte("abcdef"))
	if _, _, err := u.Commit("one", hex.EncodeToString(sum[:])); err != nil {
		t.Error(err)
	}
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAnotherOffsetAndASecondWriterAreConflictsThatTellTheOffset(t *testing.T) {
	u, dir := NewUploads(newFiles()), t.TempDir()
	begin(t, u, dir+"/file", UnknownSize)
	send(t, u, 0, "abc")
	var conflict *UploadConflict
	for _, offset := range []int64{0, 2, 4} {
		_, err := u.Append("one", offset, strings.NewReader("x"))
		if !errors.As(err, &conflict) || conflict.State.Offset != 3 {
			t.Errorf("at %d: %v", offset, err)
		}
	}
	reader, writer := io.Pipe()
	ended := make(chan error)
	go func() {
		_, err := u.Append("one", 3, reader)
		ended <- err
	}()
	if _, err := writer.Write([]byte("def")); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"append": second(u.Append("one", 6, strings.NewReader("x"))), "commit": third(u.Commit("one", "")), "abort": u.Abort("one")} {
		if !errors.As(err, &conflict) {
			t.Errorf("%s meanwhile: %v", what, err)
		}
	}
	_ = writer.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error      { return err }
func third[T, U any](_ T, _ U, e error) error { return e }

func TestACommitThatFailsChangesNothing(t *testing.T) {
	u, dir := NewUploads(newFiles()), t.TempDir()
	name := dir + "/file"
	_ = os.WriteFile(name, []byte("old"), 0o644)
	begin(t, u, name, 3)
	var conflict *UploadConflict
	if _, _, err := u.Commit("one", ""); !errors.As(err, &conflict) {
		t.Errorf("too early: %v", err)
	}
	if _, err := u.Append("one", 0, strings.NewReader("newer")); fault.KindOf(err) != fault.Invalid {
		t.Errorf("more than announced: %v", err)
	}
	if _, _, err := u.Commit("one", strings.Repeat("0", 64)); !errors.Is(err, ErrChecksum) {
		t.Errorf("another checksum: %v", err)
	}
	if content, _ := os.ReadFile(name); string(content) != "old" {
		t.Errorf("%q", content)
	}
	_ = os.Remove(name)
	_ = os.Mkdir(name, 0o755)
	if _, _, err := u.Commit("one", ""); fault.KindOf(err) != fault.Invalid {
		t.Errorf("onto a directory: %v", err)
	}
	_ = os.Remove(name)
	_ = os.Symlink("target", name)
	if _, _, err := u.Commit("one", ""); err != nil {
		t.Errorf("through a symlink: %v", err)
	}
	if content, _ := os.ReadFile(dir + "/target"); string(content) != "new" {
		t.Errorf("%q", content)
	}
}

func TestAPartialFileThatWasExchangedInsideIsNeverPutInPlace(t *testing.T) {
	u, dir := NewUploads(newFiles()), t.TempDir()
	begin(t, u, dir+"/file", UnknownSize)
	partial := dir + "/" + onlyNames(t, dir)[0]
	_ = os.Remove(partial)
	_ = os.Symlink("/etc/passwd", partial)
	if _, _, err := u.Commit("one", ""); fault.KindOf(err) != fault.Precondition {
		t.Error(err)
	}
	if err := u.Abort("one"); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(partial); err != nil {
		t.Errorf("somebody else's entry was removed: %v", err)
	}
}

func TestUploadsHoldTheirBoundAndGoAfterTheirTime(t *testing.T) {
	f, dir := newFiles(), t.TempDir()
	f.Limits.Uploads = 1
	u := NewUploads(f)
	begin(t, u, dir+"/a", UnknownSize)
	_, err := u.Begin("two", Write{Path: dir + "/b"}, UnknownSize)
	mustExceed(t, "uploads", err)
	if err := u.Abort("one"); err != nil {
		t.Fatal(err)
	}
	f.Limits.UploadIdleMs = 1
	begin(t, u, dir+"/a", UnknownSize)
	eventually(t, "the upload and its bytes go", func() bool {
		_, err := u.Get("one")
		return fault.KindOf(err) == fault.NotFound && len(onlyNames(t, dir)) == 0
	})
}

func TestAFullDiskLeavesAnHonestOffset(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("no tmpfs can be mounted here: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	u := NewUploads(newFiles())
	_ = os.WriteFile(dir+"/file", []byte("old"), 0o644)
	begin(t, u, dir+"/file", UnknownSize)
	state, err := u.Append("one", 0, bytes.NewReader(make([]byte, 2<<20)))
	if fault.KindOf(err) != fault.NoSpace || state.Offset == 0 || state.Offset >= 1<<20 {
		t.Fatal(state, err)
	}
	sum := sha256.Sum256(make([]byte, state.Offset))
	if _, _, err := u.Commit("one", hex.EncodeToString(sum[:])); err != nil {
		t.Errorf("what went in is not what was counted: %v", err)
	}
}

func TestACommitThatIsAskedAgainAnswersTheSameAndTouchesNothing(t *testing.T) {
	f, dir := newFiles(), t.TempDir()
	f.Limits.CommittedUploads = 2
	u := NewUploads(f)
	commit := func(name string) (int64, string) {
		begin(t, u, dir+"/"+name, UnknownSize)
		send(t, u, 0, name)
		size, sum, err := u.Commit("one", "")
		if err != nil {
			t.Fatal(err)
		}
		return size, sum
	}
	size, sum := commit("file")
	_ = os.WriteFile(dir+"/file", []byte("later"), 0o644)
	for _, checksum := range []string{"", sum} {
		if again, sameSum, err := u.Commit("one", checksum); err != nil || again != size || sameSum != sum {
			t.Error(again, sameSum, err)
		}
	}
	if _, _, err := u.Commit("one", strings.Repeat("0", 64)); !errors.Is(err, ErrChecksum) {
		t.Error(err)
	}
	if content, _ := os.ReadFile(dir + "/file"); string(content) != "later" {
		t.Errorf("the file is %q", content)
	}
	if _, err := u.Get("one"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("it is still there: %v", err)
	}
	// An upload of the same id is another one.
	begin(t, u, dir+"/file", UnknownSize)
	send(t, u, 0, "new")
	if _, again, err := u.Commit("one", ""); err != nil || again == sum {
		t.Error(again, err)
	}
	for _, id := range []string{"two", "three"} {
		if _, err := u.Begin(id, Write{Path: dir + "/" + id}, UnknownSize); err != nil {
			t.Fatal(err)
		}
		if _, _, err := u.Commit(id, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := u.Commit("two", ""); err != nil {
		t.Errorf("within the bound: %v", err)
	}
	if _, _, err := u.Commit("one", ""); fault.KindOf(err) != fault.NotFound {
		t.Errorf("beyond the bound: %v", err)
	}
}
