package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"

	processv1 "stacyvm/native/gen/process"
)

func (a *agent) init(settings map[string]any) (int, string) {
	a.t.Helper()
	body, err := json.Marshal(settings)
	if err != nil {
		a.t.Fatal(err)
	}
	response, err := a.http.Post("http://agent/init", "application/json", strings.NewReader(string(body)))
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(answer)
}

func TestEveryWayToStartAProcessHasWhatTheAgentWasTold(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becoming another user needs root")
	}
	a := start(t)
	dir := filepath.Join(a.dir, "made", "for it")
	if status, body := a.init(map[string]any{
		"envVars": map[string]string{"GREETING": "hi"}, "defaultUser": "1234:50", "defaultWorkdir": dir, "prepareWorkdir": true,
	}); status != http.StatusNoContent {
		t.Fatal(status, body)
	}
	const script = `echo "$GREETING|$PWD|$(id -u):$(id -g)|$(stat -c %u:%g .)"`
	want := "hi|" + dir + "|1234:50|1234:50\n"
	if r := a.sh(script); string(r.stdout) != want {
		t.Errorf("exec: %q %v", r.stdout, r.err)
	}
	stream, err := a.proc.Start(context.Background(), connect.NewRequest(&processv1.StartRequest{
		Process: &processv1.ProcessConfig{Cmd: "sh", Args: []string{"-c", script}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	var said []byte
	for stream.Receive() {
		said = append(said, stream.Msg().Event.GetData().GetStdout()...)
	}
	if string(said) != want {
		t.Errorf("the common process service: %q %v", said, stream.Err())
	}
}

func TestADirectoryIsPreparedOnlyWhenThatIsAskedForAndOnlyForWhatIsAccepted(t *testing.T) {
	a := start(t)
	missing := filepath.Join(a.dir, "missing")
	if status, body := a.init(map[string]any{"defaultWorkdir": missing}); status != http.StatusNoContent {
		t.Error(status, body)
	}
	if status, _ := a.init(map[string]any{"defaultUser": "nobody-of-that-name", "defaultWorkdir": missing, "prepareWorkdir": true}); status != http.StatusBadRequest {
		t.Error(status)
	}
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Error("it was made:", err)
	}
	file := filepath.Join(a.dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if status, body := a.init(map[string]any{"defaultWorkdir": file, "prepareWorkdir": true}); status != http.StatusConflict || !strings.Contains(body, "workdir "+file) {
		t.Error(status, body)
	}
}

func TestTheUsualDirectoryGoesToTheUserAndNothingBehindALinkDoes(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving a directory away needs root")
	}
	a := start(t)
	work := filepath.Join(a.dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	if status, body := a.init(map[string]any{"defaultUser": "1234", "defaultWorkdir": work, "prepareWorkdir": true}); status != http.StatusNoContent {
		t.Fatal(status, body)
	}
	if r := a.sh("stat -c %u ."); string(r.stdout) != "1234\n" {
		t.Errorf("%q", r.stdout)
	}
	there := filepath.Join(a.dir, "there")
	if err := os.Mkdir(there, 0o755); err != nil {
		t.Fatal(err)
	}
	if status, body := a.init(map[string]any{"defaultUser": "1234", "defaultWorkdir": there, "prepareWorkdir": true}); status != http.StatusNoContent {
		t.Fatal(status, body)
	}
	if r := a.sh("stat -c %u ."); string(r.stdout) != "0\n" {
		t.Errorf("a directory that was there: %q", r.stdout)
	}
}
