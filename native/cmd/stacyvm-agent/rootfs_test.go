package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"connectrpc.com/connect"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

// startAsPid1 runs the agent as pid 1 of new user, pid, mount and ipc namespaces, in a root of its own.
func startAsPid1(t *testing.T, root string, binary string, wrapper ...string) *agent {
	t.Helper()
	if err := os.MkdirAll(root+"/run/agent", 0o755); err != nil {
		t.Fatal(err)
	}
	copyExecutable(t, binary, root+"/run/agent/agent")
	a := &agent{t: t, dir: root, socket: root + "/run/agent/sock"}
	args := []string{"/run/agent/agent", "serve", "--listen-unix", "/run/agent/sock"}
	args = append(append([]string{}, wrapper...), args...)
	a.cmd = exec.Command(args[0], args[1:]...)
	a.cmd.Dir = "/"
	a.cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:      root,
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}},
		Credential:  &syscall.Credential{Uid: 0, Gid: 0},

		GidMappingsEnableSetgroups: true,
	}
	chownTree(t, root)
	probe := exec.Command("true")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: a.cmd.SysProcAttr.Cloneflags, UidMappings: a.cmd.SysProcAttr.UidMappings, GidMappings: a.cmd.SysProcAttr.GidMappings}
	if err := probe.Run(); err != nil {
		t.Skip("user namespaces are unavailable here: ", err)
	}
	a.run()
	return a
}

func chownTree(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, 100000, 100000)
	})
	if err != nil {
		t.Skip("files can't be given to the mapped root: ", err)
	}
	for dir := root; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o001 == 0 {
			_ = os.Chmod(dir, info.Mode().Perm()|0o011)
		}
	}
}

func copyExecutable(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Skip(from, " is missing: ", err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

// build makes a static agent, with the flags given in the environment.
func build(t *testing.T, env ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "stacyvm-agent")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, ".")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

func root(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "root")
}

func TestPid1InARootWithNothingButOneStaticProgram(t *testing.T) {
	dir := root(t)
	copyExecutable(t, "/bin/busybox", dir+"/busybox")
	a := startAsPid1(t, dir, build(t))
	if r := a.exec(&guestv1.ExecRequest{Argv: []string{"/busybox", "echo", "alone"}}); string(r.stdout) != "alone\n" || r.exit.ExitCode != 0 {
		t.Errorf("%v %v %q", r.err, r.exit, r.stderr)
	}
	if r := a.exec(&guestv1.ExecRequest{Argv: []string{"/busybox", "id", "-u"}, User: "1000:1000"}); string(r.stdout) != "1000\n" {
		t.Errorf("%v %q %q", r.err, r.stdout, r.stderr)
	}
	if r := a.exec(&guestv1.ExecRequest{Argv: []string{"sh"}}); r.exit.GetExitCode() != 127 {
		t.Errorf("%v %v", r.err, r.exit)
	}
	if status, _, body := a.do("POST", "/workspace/f", strings.NewReader("x")); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

func TestPid1InABusyboxRootReapsEveryOrphan(t *testing.T) {
	dir := root(t)
	copyExecutable(t, "/bin/busybox", dir+"/bin/busybox")
	for _, applet := range []string{"sh", "sleep", "setsid", "true", "id", "cat", "mount", "ps", "grep"} {
		if err := os.Symlink("busybox", dir+"/bin/"+applet); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"/proc", "/etc"} {
		_ = os.MkdirAll(dir+d, 0o755)
	}
	_ = os.WriteFile(dir+"/etc/passwd", []byte("root:x:0:0::/root:/bin/sh\nalice:x:1001:1002::/home:/bin/sh\n"), 0o644)
	_ = os.WriteFile(dir+"/etc/group", []byte("root:x:0:\nalice:x:1002:\nwheel:x:10:root,alice\n"), 0o644)
	a := startAsPid1(t, dir, build(t), "/bin/busybox", "sh", "-c", `mount -t proc none /proc && exec "$@"`, "sh")
	if r := a.exec(&guestv1.ExecRequest{Argv: []string{"sh", "-c", "id -u; id -G; echo $HOME $USER $SHELL"}, User: "alice"}); string(r.stdout) != "1001\n1002 10\n/home alice /bin/sh\n" {
		t.Errorf("%v %q %q", r.err, r.stdout, r.stderr)
	}
	r := a.sh("for i in 1 2 3 4 5 6 7 8 9; do (sleep 0.01 >/dev/null 2>&1 &); done; cat /proc/1/cmdline")
	if !strings.Contains(string(r.stdout), "serve") {
		t.Errorf("the agent is not pid 1: %q", r.stdout)
	}
	eventually(t, "no zombie is left", func() bool { return a.sh("grep -l '^State:.Z' /proc/[0-9]*/status").exit.ExitCode != 0 })
	r = a.exec(&guestv1.ExecRequest{Argv: []string{"sh", "-c", "(setsid sleep 3176 &); sleep 3176"}, TimeoutMs: 150})
	if !r.exit.GetTimedOut() {
		t.Errorf("%v %v", r.err, r.exit)
	}
	eventually(t, "the setsid'd grandchild is gone", func() bool { return a.sh("ps | grep '[s]leep 3176'").exit.ExitCode != 0 })
	// As somebody without CAP_SYS_PTRACE, which the security profiles withhold from root too.
	if r := a.exec(&guestv1.ExecRequest{Argv: []string{"sh", "-c", "cat /proc/1/environ; cat /proc/1/fd/*; cat /proc/1/mem"}, User: "alice"}); len(r.stdout) > 0 {
		t.Errorf("the agent can be read: %q", r.stdout)
	}
	_, err := a.guest.Shutdown(context.Background(), connect.NewRequest(&guestv1.ShutdownRequest{}))
	if err != nil || a.cmd.Wait() != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func TestPid1RunsAProgramOfMusl(t *testing.T) {
	dir := root(t)
	source := filepath.Join(t.TempDir(), "hello.c")
	program := filepath.Join(t.TempDir(), "hello")
	_ = os.WriteFile(source, []byte("#include <stdio.h>\nint main(int n, char **v) { puts(n > 1 ? v[1] : \"\"); return 7; }\n"), 0o644)
	if text, err := exec.Command("musl-gcc", "-static", "-o", program, source).CombinedOutput(); err != nil {
		t.Skip("musl-gcc is unavailable: ", err, string(text))
	}
	copyExecutable(t, program, dir+"/bin/hello")
	a := startAsPid1(t, dir, build(t))
	if r := a.exec(&guestv1.ExecRequest{Argv: []string{"hello", "musl"}}); string(r.stdout) != "musl\n" || r.exit.ExitCode != 7 {
		t.Errorf("%v %v %q", r.err, r.exit, r.stderr)
	}
}

func TestTheArm64BuildSpeaksTheSameWire(t *testing.T) {
	qemu, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		t.Skip("qemu-aarch64-static is not installed")
	}
	dir := t.TempDir()
	a := &agent{t: t, dir: dir, socket: filepath.Join(dir, "agent.sock")}
	a.cmd = exec.Command(qemu, build(t, "GOARCH=arm64"), "serve", "--listen-unix", a.socket, "--workdir", dir)
	a.run()
	r := a.sh("echo out; echo err >&2; exit 3")
	if r.err != nil || r.exit.GetExitCode() != 3 || string(r.stdout) != "out\n" || string(r.stderr) != "err\n" {
		t.Errorf("%v %v %q", r.err, r.exit, r.stdout)
	}
	r = a.exec(&guestv1.ExecRequest{Argv: []string{"sleep", "60"}, TimeoutMs: 100})
	if !r.exit.GetTimedOut() || r.exit.GetExitCode() != 137 {
		t.Errorf("%v %v", r.err, r.exit)
	}
	if status, _, _ := a.do("POST", dir+"/f", strings.NewReader("content")); status != 200 {
		t.Errorf("upload: %d", status)
	}
	if _, _, got := a.do("GET", dir+"/f", nil); string(got) != "content" {
		t.Errorf("download: %q", got)
	}
}
