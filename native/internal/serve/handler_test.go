package serve

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stacyvm/native/internal/account"
	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/process"
	"stacyvm/native/internal/tree"
)

func handler(t testing.TB) http.Handler {
	t.Helper()
	accounts := &account.Database{}
	limits := bound.Default()
	limits.Processes = 1
	table := process.NewTable(process.Options{Limits: limits, Forest: tree.Walks(-1), Accounts: accounts, DefaultUser: "root", DefaultCwd: t.TempDir()})
	return New(Options{Limits: limits, Table: table, Accounts: accounts}).Handler()
}

// readOnly are the methods that a fuzzer may call with anything.
var readOnly = []string{
	"/stacyvm.guest.v1.Guest/ListProcesses", "/stacyvm.guest.v1.Guest/Attach", "/stacyvm.guest.v1.Guest/WriteStdin",
	"/stacyvm.guest.v1.Guest/ResizePty", "/stacyvm.guest.v1.Guest/Usage", "/process.Process/Connect", "/process.Process/SendInput",
	"/process.Process/StreamInput", "/process.Process/Update", "/filesystem.Filesystem/Stat", "/filesystem.Filesystem/GetWatcherEvents",
}

func FuzzConnect(f *testing.F) {
	door := handler(f)
	for i := range readOnly {
		f.Add(i, "application/json", []byte(`{"path":"/etc","processId":"x","process":{"pid":1},"size":{"cols":1}}`))
		f.Add(i, "application/connect+proto", []byte{0, 0, 0, 0, 2, 10, 0})
	}
	f.Add(0, "application/grpc", []byte{1, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, method int, kind string, body []byte) {
		if method < 0 || method >= len(readOnly) {
			return
		}
		request := httptest.NewRequest(http.MethodPost, readOnly[method], bytes.NewReader(body))
		request.Header.Set("Content-Type", kind)
		answer := httptest.NewRecorder()
		door.ServeHTTP(answer, request)
		if answer.Code >= 500 && answer.Code != http.StatusNotImplemented {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}
	})
}

func FuzzUploadPaths(f *testing.F) {
	door := handler(f)
	f.Add("file", "/proc/self/fd/0")
	f.Add(`a"; filename="b`, "../../x\r\n")
	f.Fuzz(func(t *testing.T, field, name string) {
		if !strings.Contains(name, "/proc/") || strings.Contains(name, "..") {
			return
		}
		// Only places that can never be written: whatever the form says, nothing must be made.
		body := "--b\r\nContent-Disposition: form-data; name=\"" + field + "\"; filename=\"" + name + "\"\r\n\r\nx\r\n--b--\r\n"
		request := httptest.NewRequest(http.MethodPost, "/files", strings.NewReader(body))
		request.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		answer := httptest.NewRecorder()
		door.ServeHTTP(answer, request)
		if strings.HasPrefix(name, "/proc/") && answer.Code < 400 {
			t.Errorf("%q: %d %s", name, answer.Code, answer.Body)
		}
	})
}

func FuzzRequestHeaders(f *testing.F) {
	door := handler(f)
	f.Add("bytes=0-1,2-3", "gzip", "W/\"x\"")
	f.Add("bytes=-99999999999999999999", "*;q=0", "*")
	f.Fuzz(func(t *testing.T, span, encoding, tag string) {
		request := httptest.NewRequest(http.MethodGet, "/files?path=/etc/passwd", nil)
		request.Header.Set("Range", span)
		request.Header.Set("Accept-Encoding", encoding)
		request.Header.Set("If-None-Match", tag)
		answer := httptest.NewRecorder()
		door.ServeHTTP(answer, request)
		if answer.Code >= 500 {
			t.Errorf("%d", answer.Code)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
	})
}

func FuzzInit(f *testing.F) {
	door := handler(f)
	f.Add([]byte(`{"envVars":{"A":"b"},"defaultUser":"root","defaultWorkdir":"/tmp","timestamp":"2026-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		answer := httptest.NewRecorder()
		door.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/init", bytes.NewReader(body)))
		if answer.Code >= 500 {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}
	})
}
