package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

// essential are the packages without which there is no Debian, the tools of passwd and mount, and all that they depend on.
func essential(t *testing.T) []string {
	t.Helper()
	list, err := exec.Command("dpkg-query", "-W", "-f", "${Package}\t${Essential}\t${Pre-Depends}, ${Depends}\n").Output()
	if err != nil {
		t.Skip("this host has no packages of Debian: ", err)
	}
	needs := map[string]string{}
	open := []string{"passwd", "mount"}
	for _, line := range strings.Split(strings.TrimSpace(string(list)), "\n") {
		fields := strings.Split(line, "\t")
		needs[fields[0]] = fields[2]
		if fields[1] == "yes" {
			open = append(open, fields[0])
		}
	}
	name := regexp.MustCompile(`(?:^|[,|])\s*([a-z0-9][a-z0-9.+-]+)`)
	var all []string
	for taken := map[string]bool{}; len(open) > 0; {
		next := open[0]
		open = open[1:]
		if depends, installed := needs[next]; installed && !taken[next] {
			taken[next] = true
			all = append(all, next)
			for _, match := range name.FindAllStringSubmatch(depends, -1) {
				open = append(open, match[1])
			}
		}
	}
	return all
}

// debianRoot is made of the host's own packages: nothing is downloaded.
func debianRoot(t *testing.T) string {
	t.Helper()
	dir := root(t)
	for _, d := range []string{"/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib64", "/proc", "/dev", "/tmp", "/root", "/home", "/etc", "/var/lib/dpkg"} {
		if err := os.MkdirAll(dir+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if target, err := os.Readlink(link); err == nil {
			_ = os.Symlink(target, dir+link)
		}
	}
	names, err := exec.Command("dpkg-query", append([]string{"-L"}, essential(t)...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	documentation := regexp.MustCompile(`(?m)^/usr/share/(doc|man|locale|info)/.*\n|^[^/].*\n`)
	pack := exec.Command("tar", "--create", "--directory=/", "--no-recursion", "--ignore-failed-read", "--verbatim-files-from", "--files-from=-")
	pack.Stdin = bytes.NewReader(documentation.ReplaceAll(names, nil))
	unpack := exec.Command("tar", "--extract", "--directory="+dir, "--keep-directory-symlink")
	if unpack.Stdin, err = pack.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := unpack.Start(); err != nil {
		t.Skip("tar is unavailable: ", err)
	}
	// Status 2 tells of diverted files that are listed and not there.
	_ = pack.Run()
	if err := unpack.Wait(); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{
		"/usr/share/base-passwd/passwd.master": "/etc/passwd", "/usr/share/base-passwd/group.master": "/etc/group",
		"/var/lib/dpkg/status": "/var/lib/dpkg/status",
	} {
		content, err := os.ReadFile(from)
		if err != nil || os.WriteFile(dir+to, content, 0o644) != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mknod(dir+"/dev/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Skip("no device can be made here: ", err)
	}
	return dir
}

func TestPid1InADebianRoot(t *testing.T) {
	dir := debianRoot(t)
	a := startAsPid1(t, dir, build(t), "/bin/sh", "-c", `chmod 666 /dev/null && mount -t proc none /proc && exec "$@"`, "sh")
	for _, c := range []struct{ user, script, out string }{
		{"", `tr '\0' ' ' < /proc/1/cmdline | cut -c 1-22`, "/run/agent/agent serve\n"},
		{"", `. /etc/os-release; test -n "$ID" && dpkg-query -W -f '${Status}\n' bash`, "install ok installed\n"},
		{"www-data", "id -un; id -u; echo $HOME", "www-data\n33\n/var/www\n"},
		{"", "perl -e 'print 6*7'; echo; seq 3 | sort -r | paste -s", "42\n3\t2\t1\n"},
		{"", "useradd -m -s /bin/bash -u 1500 -G users alice 2>&1", ""},
		{"alice", "id -un; id -Gn; echo $HOME $SHELL; cd; pwd; test -r .bashrc && echo skeleton", "alice\nalice users\n/home/alice /bin/bash\n/home/alice\nskeleton\n"},
	} {
		r := a.exec(&guestv1.ExecRequest{Argv: []string{"bash", "-c", c.script}, User: c.user})
		if r.err != nil || r.exit.GetExitCode() != 0 || string(r.stdout) != c.out {
			t.Errorf("%s: %v %v %q %q", c.script, r.err, r.exit, r.stdout, r.stderr)
		}
	}
	r := a.sh("for i in $(seq 50); do (true &); done; setsid sleep 0.01 & exit 7")
	if r.exit.GetExitCode() != 7 {
		t.Errorf("%v %v", r.err, r.exit)
	}
	eventually(t, "every orphan is reaped", func() bool { return a.sh("grep -l '^State:.Z' /proc/[0-9]*/status").exit.ExitCode != 0 })
	if status, _, body := a.do("POST", "/home/alice/f", strings.NewReader("x")); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}
