package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"golang.org/x/sys/unix"

	filesystemv1 "stacyvm/native/gen/filesystem"
	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

func (a *agent) do(method, name string, body io.Reader, headers ...string) (int, http.Header, []byte) {
	a.t.Helper()
	request, err := http.NewRequest(method, "http://agent/files?path="+url.QueryEscape(name), body)
	if err != nil {
		a.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := a.http.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return response.StatusCode, response.Header, content
}

func TestFilesComeBackByteForByteUnderAnyName(t *testing.T) {
	a := start(t)
	content := bytes.Repeat([]byte{0, 0xff, '\n', 'x'}, 100_000)
	for _, name := range []string{"plain", "a b", "-rf", "new\nline", `quote'"`, "p|pe", "émoji 🎈", "deep/er/dir/file", "#?&%"} {
		full := a.dir + "/work/" + name
		if status, _, body := a.do("POST", full, bytes.NewReader(content)); status != 200 {
			t.Fatalf("%q: %d %s", name, status, body)
		}
		if status, _, got := a.do("GET", full, nil); status != 200 || !bytes.Equal(got, content) {
			t.Errorf("%q: %d, %d bytes", name, status, len(got))
		}
	}
	left, _ := filepath.Glob(a.dir + "/work/.stacyvm-*")
	if len(left) > 0 {
		t.Errorf("temporary files are left: %q", left)
	}
}

func TestRangesAndConditionsAreHonoured(t *testing.T) {
	a := start(t)
	name := a.dir + "/work/f"
	a.do("POST", name, strings.NewReader("0123456789"))
	status, h, _ := a.do("HEAD", name, nil)
	tag := h.Get("Etag")
	if status != 200 || h.Get("Content-Length") != "10" || tag == "" {
		t.Fatalf("HEAD: %d %v", status, h)
	}
	if status, _, got := a.do("GET", name, nil, "Range", "bytes=2-4"); status != 206 || string(got) != "234" {
		t.Errorf("range: %d %s", status, got)
	}
	if status, _, _ := a.do("GET", name, nil, "If-None-Match", tag); status != 304 {
		t.Errorf("unchanged: %d", status)
	}
	status, h, got := a.do("GET", name, nil, "Accept-Encoding", "gzip")
	zip, err := gzip.NewReader(bytes.NewReader(got))
	if err != nil || status != 200 || h.Get("Content-Encoding") != "gzip" {
		t.Fatalf("gzip: %d %v %v", status, h, err)
	}
	if plain, _ := io.ReadAll(zip); string(plain) != "0123456789" {
		t.Errorf("gzip: %q", plain)
	}
	if status, _, _ := a.do("GET", name, nil, "Accept-Encoding", "br, identity;q=0"); status != 406 {
		t.Errorf("no encoding fits: %d", status)
	}
}

func TestWhatIsNoRegularFileIsRefused(t *testing.T) {
	a := start(t)
	if err := unix.Mkfifo(a.dir+"/fifo", 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/proc/self/fd/0", a.dir+"/work/link"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		a.dir: 400, a.dir + "/fifo": 400, "/dev/zero": 400, "/dev/null": 400, a.socket: 400, a.dir + "/missing": 404, "/": 400,
		"/proc/self/mem": 400, "/proc/1/root/etc/passwd": 403, "/proc/self/fd/0": 403, "/proc/self/exe": 403,
		a.dir + "/work/link": 403, a.dir + "/work/link/../x": 403, "relative\x00nul": 400, "/" + strings.Repeat("x", 4096): 429,
		"/proc/version": 200,
	} {
		status, _, body := a.do("GET", name, nil)
		if status != want || status == 200 && len(body) == 0 {
			t.Errorf("read %.60q: %d %.100s", name, status, body)
		}
	}
	for name, want := range map[string]int{a.dir: 400, a.dir + "/fifo": 400, a.dir + "/work/link": 403, "/proc/self/fd/9/x": 403, "/": 400} {
		if status, _, body := a.do("POST", name, strings.NewReader("x")); status != want {
			t.Errorf("write %q: %d %s", name, status, body)
		}
	}
	r := a.exec(&guestv1.ExecRequest{Argv: []string{"pwd"}, Cwd: "/proc/1/cwd"})
	if connect.CodeOf(r.err) != connect.CodeInvalidArgument {
		t.Errorf("cwd through a kernel link: %v", r.err)
	}
}

func TestAWriteReplacesWholeAndKeepsWhatItMust(t *testing.T) {
	a := start(t)
	target, link := a.dir+"/work/target", a.dir+"/work/link"
	if err := os.WriteFile(target, []byte("old"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("target", link); err != nil {
		t.Fatal(err)
	}
	if status, _, body := a.do("POST", link, strings.NewReader("new"), "X-Metadata-Kind", "sample"); status != 200 {
		t.Fatal(status, string(body))
	}
	info, _ := os.Lstat(link)
	got, _ := os.ReadFile(target)
	if st, _ := os.Stat(target); string(got) != "new" || info.Mode()&os.ModeSymlink == 0 || st.Mode().Perm() != 0o755 {
		t.Errorf("target is %q, link %v", got, info.Mode())
	}
	// A sender that vanishes leaves the old content and no temporary file.
	reader, writer := io.Pipe()
	go func() {
		_, _ = writer.Write([]byte("half"))
		_ = writer.CloseWithError(io.ErrUnexpectedEOF)
	}()
	if response, err := a.http.Post("http://agent/files?path="+target, "application/octet-stream", reader); err == nil {
		_ = response.Body.Close()
	}
	eventually(t, "the temporary file goes", func() bool { left, _ := filepath.Glob(a.dir + "/work/.stacyvm-*"); return len(left) == 0 })
	if got, _ := os.ReadFile(target); string(got) != "new" {
		t.Errorf("target is %q", got)
	}
}

func TestAFullDiskIsToldAndTheOldContentStays(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("no tmpfs can be mounted here: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	a := start(t)
	a.do("POST", dir+"/f", strings.NewReader("old"))
	if status, _, body := a.do("POST", dir+"/f", bytes.NewReader(make([]byte, 2<<20))); status != 507 {
		t.Fatalf("%d %s", status, body)
	}
	entries, _ := os.ReadDir(dir)
	if got, _ := os.ReadFile(dir + "/f"); string(got) != "old" || len(entries) != 1 {
		t.Errorf("%q, %v", got, entries)
	}
}

func TestMultipartWritesEachPart(t *testing.T) {
	a := start(t, "--max-multipart-parts", "2")
	send := func(n int) int {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		for i := range n {
			part, _ := form.CreateFormFile("file", a.dir+"/work/part"+string(rune('a'+i)))
			_, _ = part.Write([]byte("content"))
		}
		_ = form.Close()
		response, err := a.http.Post("http://agent/files", form.FormDataContentType(), &body)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	if status := send(2); status != 200 {
		t.Errorf("two parts: %d", status)
	}
	if got, _ := os.ReadFile(a.dir + "/work/partb"); string(got) != "content" {
		t.Errorf("second part: %q", got)
	}
	if status := send(3); status != 429 {
		t.Errorf("one part too many: %d", status)
	}
}

func TestDirectoriesListMoveGlobAndGo(t *testing.T) {
	a := start(t)
	ctx := context.Background()
	base := a.dir + "/work"
	for _, d := range []string{"/b/c", "/a"} {
		if _, err := a.fs.MakeDir(ctx, connect.NewRequest(&filesystemv1.MakeDirRequest{Path: base + d})); err != nil {
			t.Fatal(err)
		}
	}
	_, err := a.fs.MakeDir(ctx, connect.NewRequest(&filesystemv1.MakeDirRequest{Path: base + "/a"}))
	if connect.CodeOf(err) != connect.CodeAlreadyExists {
		t.Errorf("made twice: %v", err)
	}
	a.do("POST", base+"/b/c/x.txt", strings.NewReader("x"))
	_ = os.WriteFile(base+"/bad\xffname", nil, 0o4755)
	_ = os.Chmod(base+"/bad\xffname", 0o755|os.ModeSetuid)
	list, err := a.fs.ListDir(ctx, connect.NewRequest(&filesystemv1.ListDirRequest{Path: base, Depth: 3}))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list.Msg.Entries {
		names = append(names, e.Path[len(base):]+" "+e.Permissions)
	}
	want := "/a drwxr-xr-x,/b drwxr-xr-x,/b/c drwxr-xr-x,/b/c/x.txt -rw-r--r--,/bad\uFFFDname -rwsr-xr-x"
	if strings.Join(names, ",") != want {
		t.Errorf("listed %q", names)
	}
	glob, err := a.guest.Glob(ctx, connect.NewRequest(&guestv1.GlobRequest{Pattern: base + "/**/*.{txt,md}"}))
	if err != nil || strings.Join(glob.Msg.Paths, ",") != base+"/b/c/x.txt" {
		t.Errorf("glob: %v %v", glob, err)
	}
	if _, err := a.guest.Move(ctx, connect.NewRequest(&guestv1.MoveRequest{Source: base + "/b", Destination: "/dev/shm" + a.dir + "/moved"})); err != nil {
		t.Error(err)
	}
	defer func() { _ = os.RemoveAll("/dev/shm" + a.dir) }()
	if got, _ := os.ReadFile("/dev/shm" + a.dir + "/moved/c/x.txt"); string(got) != "x" {
		t.Errorf("moved across file systems: %q", got)
	}
	remove := func(name string, recursive bool) connect.Code {
		_, err := a.guest.Remove(ctx, connect.NewRequest(&guestv1.RemoveRequest{Path: name, Recursive: recursive}))
		if err == nil {
			return 0
		}
		return connect.CodeOf(err)
	}
	for _, c := range []struct {
		name      string
		recursive bool
		want      connect.Code
	}{
		{base + "/a", false, connect.CodeFailedPrecondition}, {base + "/a", true, 0}, {base + "/a", true, connect.CodeNotFound},
		{"/", true, connect.CodeFailedPrecondition}, {"/proc", true, connect.CodeFailedPrecondition},
	} {
		if got := remove(c.name, c.recursive); got != c.want {
			t.Errorf("remove %s: %v", c.name, got)
		}
	}
}
