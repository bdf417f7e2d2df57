package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"connectrpc.com/connect"

	filesystemv1 "stacyvm/native/gen/filesystem"
)

// peakBytes is the most memory that the agent has had resident.
func (a *agent) peakBytes() int {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(a.cmd.Process.Pid) + "/status")
	if err != nil {
		a.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		a.t.Fatal(err)
	}
	return kilobytes << 10
}

func TestAHugeSparseFileTakesNoMemory(t *testing.T) {
	a, ctx := start(t), context.Background()
	const size, read = 1 << 40, 64 << 20
	name := a.dir + "/work/huge"
	if err := os.WriteFile(name, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Skip("no file of 1 TiB can be made here: ", err)
	}
	before := a.peakBytes()
	stat, err := a.fs.Stat(ctx, connect.NewRequest(&filesystemv1.StatRequest{Path: name}))
	if err != nil || stat.Msg.Entry.Size != size {
		t.Errorf("stat: %v %v", stat, err)
	}
	list, err := a.fs.ListDir(ctx, connect.NewRequest(&filesystemv1.ListDirRequest{Path: a.dir + "/work", Depth: 1}))
	if err != nil || len(list.Msg.Entries) != 1 || list.Msg.Entries[0].Size != size {
		t.Errorf("list: %v %v", list, err)
	}
	if status, h, _ := a.do("HEAD", name, nil); status != 200 || h.Get("Content-Length") != strconv.Itoa(size) {
		t.Errorf("head: %d %v", status, h)
	}
	status, h, body := a.do("GET", name, nil, "Range", "bytes=1099511627773-")
	if status != 206 || string(body) != "\x00\x00\x00" || h.Get("Content-Range") != "bytes 1099511627773-1099511627775/1099511627776" {
		t.Errorf("range: %d %v %q", status, h, body)
	}
	if status, _, _ := a.do("GET", name, nil, "Range", "bytes=1099511627776-"); status != 416 {
		t.Errorf("range behind the end: %d", status)
	}
	for _, encoding := range []string{"identity", "gzip"} {
		request, _ := http.NewRequest("GET", "http://agent/files?path="+url.QueryEscape(name), nil)
		request.Header.Set("Accept-Encoding", encoding)
		response, err := a.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int64{"identity": read, "gzip": read >> 13}[encoding]
		if n, err := io.CopyN(io.Discard, response.Body, want); n != want {
			t.Errorf("%s: read %d, %v", encoding, n, err)
		}
		// Most of it is never read: the agent must not have gone ahead.
		_ = response.Body.Close()
	}
	if grown := a.peakBytes() - before; grown > 32<<20 {
		t.Errorf("the agent grew by %d bytes", grown)
	}
}
