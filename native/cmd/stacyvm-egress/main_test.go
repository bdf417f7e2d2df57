package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"stacyvm/native/internal/egresswire"
)

// nobody is the uid of a gateway that root starts.
const nobody = 1878982656

// program builds the gateway as it is shipped, where its uid may read it.
func program(t *testing.T, uid uint32, args ...string) *exec.Cmd {
	t.Helper()
	directory, err := os.MkdirTemp("", "egress")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	if err := os.Chmod(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(directory, "stacyvm-egress")
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	command := exec.Command(path, args...)
	command.Env = []string{}
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 && uid != 0 {
		command.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	return command
}

func TestAGatewayRefusesToRunAsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root can try to run it as root")
	}
	out, err := program(t, 0).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "start it as another user") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := program(t, 0, "--allow-root").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAGatewayGivesUpWhatItNeedsForNothing(t *testing.T) {
	command := program(t, nobody)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = os.Stderr
	var own syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &own); err != nil {
		t.Fatal(err)
	}
	lowered := own
	lowered.Cur = own.Max / 2
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lowered); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &own) }()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, `{"id":1,"op":"usage"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != `{"id":1,"ok":{"sandboxes":{},"total":{"open":0,"allowed":0,"denied":0,"failed":0,"sent":0,"received":0}}}`+"\n" {
		t.Errorf("%q, %v", line, err)
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", command.Process.Pid))
	if err != nil || len(tasks) < 2 {
		t.Fatal(tasks, err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile(task)
		if err != nil || !strings.Contains(string(status), "NoNewPrivs:\t1\n") {
			t.Errorf("%s may gain privileges, %v", task, err)
		}
	}
	if os.Getuid() == 0 {
		// What isn't dumpable belongs to root, whoever runs it.
		info, err := os.Stat(fmt.Sprintf("/proc/%d/mem", command.Process.Pid))
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
			t.Errorf("the gateway's memory is its user's, %v", err)
		}
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", command.Process.Pid))
	if match := regexp.MustCompile(`(?m)^Max open files +(\d+) +(\d+)`).FindSubmatch(limits); err != nil || match == nil || string(match[1]) != string(match[2]) {
		t.Errorf("%s, %v", match, err)
	}
	_ = in.Close()
	if err := command.Wait(); err != nil {
		t.Errorf("it doesn't end with its stdin: %v", err)
	}
}

func TestAGatewayOfAnotherUserComesToADoorThatTheSandboxMade(t *testing.T) {
	command := program(t, nobody)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(command.Path), "door.sock")
	door, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(in, "{\"id\":1,\"op\":\"configure\"}\n"+
		"{\"id\":2,\"op\":\"set\",\"sandbox\":\"sb-1\",\"door\":%q,\"guest_made\":true,\"policies\":[{\"name\":\"server\",\"mode\":\"none\"}],\"limits\":{}}\n", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := door.(*net.UnixListener).SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	slot, err := door.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := egresswire.Write(slot, egresswire.Request{Open: egresswire.OpenTCP, Host: "api.example.com", Port: 443}); err != nil {
		t.Fatal(err)
	}
	kind := make([]byte, 1)
	if _, err := io.ReadFull(slot, kind); err != nil || kind[0] != egresswire.KindSlot {
		t.Fatal(kind, err)
	}
	if answer, err := egresswire.ReadAnswer(slot); err != nil || answer.Error != egresswire.Denied {
		t.Errorf("%+v, %v", answer, err)
	}
	_ = in.Close()
	if err := command.Wait(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoFlagIsRefused(t *testing.T) {
	if err := run([]string{"--allow-root", "more"}, strings.NewReader(""), io.Discard); err == nil || !strings.Contains(err.Error(), "more") {
		t.Error(err)
	}
}
