package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inNamespace starts a thread with a network namespace of its own and returns what runs things on it.
func inNamespace(t *testing.T) (tid int, do func(func())) {
	t.Helper()
	work, ready := make(chan func()), make(chan int)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
		ready <- unix.Gettid()
		for one := range work {
			one()
		}
	}()
	t.Cleanup(func() { close(work) })
	return <-ready, func(one func()) {
		done := make(chan struct{})
		work <- func() { defer close(done); one() }
		<-done
	}
}

func TestTheWallIsForTheGatewayAloneAndGoesWhole(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	for _, program := range []string{"nft", "ip", "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	h := newHost(t)
	other, there := inNamespace(t)
	_, here := inNamespace(t)
	ip := func(do func(func()), lines ...string) {
		do(func() {
			for _, line := range lines {
				if said, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
					t.Errorf("ip %s: %v: %s", line, err, said)
				}
			}
		})
	}
	ip(here, "link set lo up", "link add near type veth peer name far", fmt.Sprintf("link set far netns %d", other),
		"addr add 10.1.2.1/24 dev near", "addr add 203.0.113.1/24 dev near", "addr add fd00:1::1/64 dev near nodad", "link set near up")
	ip(there, "link set lo up", "addr add 10.1.2.3/24 dev far", "addr add 203.0.113.7/24 dev far", "addr add fd00:1::7/64 dev far nodad", "link set far up")
	serve := func(do func(func()), addresses ...string) {
		do(func() {
			for _, address := range addresses {
				listener, err := net.Listen("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				t.Cleanup(func() { listener.Close() })
			}
		})
	}
	serve(there, "10.1.2.3:5432", "10.1.2.3:80", "203.0.113.7:53", "203.0.113.7:80", "[fd00:1::7]:80")
	serve(here, "127.0.0.1:80", "10.1.2.1:80", "203.0.113.1:80", "[::1]:80")

	reaches := func(uid uint32, network, address string) (reached bool) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		here(func() {
			command := exec.Command("bash", "-c", fmt.Sprintf("echo > /dev/%s/%s/%s", network, host, port))
			command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			err := command.Run()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Error(err)
			}
			reached = err == nil
		})
		return reached
	}
	all := []string{
		"tcp 10.1.2.3:5432", "tcp 203.0.113.7:80", "tcp 203.0.113.7:53", "udp 203.0.113.7:53",
		"tcp 10.1.2.3:80", "tcp 127.0.0.1:80", "tcp 10.1.2.1:80", "tcp 203.0.113.1:80", "tcp ::1:80", "tcp fd00:1::7:80", "udp 203.0.113.7:54", "udp 127.0.0.1:53",
	}
	expect := func(what string, uid uint32, allowed int) {
		t.Helper()
		for i, one := range all {
			network, address, _ := strings.Cut(one, " ")
			if strings.Count(address, ":") > 1 {
				colon := strings.LastIndex(address, ":")
				address = "[" + address[:colon] + "]" + address[colon:]
			}
			if got := reaches(uid, network, address); got != (i < allowed) {
				t.Errorf("%s: %s: reached %v", what, one, got)
			}
		}
	}
	wall := func(args string) (err error) {
		here(func() { _, err = h.Do(context.Background(), "egress-wall", json.RawMessage(args)) })
		return err
	}
	gateway := uint32(h.root.gatewayUser())
	request := fmt.Sprintf(`{"uid":%d,"open":[{"cidr":"10.1.2.3/32","ports":[[5432,5432],[22,22],[20,30]]}],"resolvers":["203.0.113.7:53"]}`, gateway)
	expect("without a wall", gateway, len(all))
	if err := wall(request); err != nil {
		t.Fatal(err)
	}
	expect("the gateway", gateway, 4)
	expect("another user", gateway-1, len(all))
	if err := wall(strings.Replace(request, `[[5432,5432],[22,22],[20,30]]`, `[]`, 1)); err != nil {
		t.Fatal(err)
	}
	if !reaches(gateway, "tcp", "10.1.2.3:80") {
		t.Error("an entry without ports does not open all of them")
	}
	if err := wall(`{"remove":true}`); err != nil {
		t.Fatal(err)
	}
	expect("a wall that was removed", gateway, len(all))

	// The program takes down what it has put up.
	program := filepath.Join(t.TempDir(), "stacyvm-host")
	if said, err := exec.Command("go", "build", "-o", program, "stacyvm/native/cmd/stacyvm-host").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	var output, tables bytes.Buffer
	here(func() {
		serving := exec.Command(program, "serve", "--data", h.root.path)
		input, err := serving.StdinPipe()
		serving.Stdout = &output
		if err := errors.Join(err, serving.Start()); err != nil {
			t.Error(err)
			return
		}
		_, err = fmt.Fprintf(input, `{"id":1,"verb":"egress-wall","args":%s}`+"\n", request)
		if err := errors.Join(err, input.Close(), serving.Wait()); err != nil {
			t.Error(err)
		}
		list := exec.Command("nft", "list", "tables")
		list.Stdout, list.Stderr = &tables, &tables
		if err := list.Run(); err != nil || tables.Len() > 0 {
			t.Errorf("left behind: %s%v", &tables, err)
		}
	})
	if output.String() != `{"id":1,"ok":{}}`+"\n" {
		t.Error(output.String())
	}
}

func TestARequestForTheWallCannotWriteRules(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	h := newHost(t)
	_, here := inNamespace(t) // for the case that one is taken
	for _, args := range []string{
		`{}`, `{"uid":0}`, `{"uid":-1}`, `{"uid":4294967295}`,
		`{"uid":5,"open":[{"cidr":"10.0.0.0/8 accept; flush ruleset"}]}`,
		`{"uid":5,"open":[{"cidr":"10.0.0.1"}]}`,
		`{"uid":5,"open":[{"cidr":"::ffff:10.0.0.0/104"}]}`,
		`{"uid":5,"open":[{"cidr":"10.0.0.0/8","ports":[[0,1]]}]}`,
		`{"uid":5,"open":[{"cidr":"10.0.0.0/8","ports":[[443]]}]}`,
		`{"uid":5,"open":[{"cidr":"10.0.0.0/8","ports":[[443,442]]}]}`,
		`{"uid":5,"open":[{"cidr":"10.0.0.0/8","ports":[[1,65536]]}]}`,
		`{"uid":5,"open":[{"cidr":"10.0.0.0/8","ports":[["1","2"]]}]}`,
		`{"uid":5,"resolvers":["203.0.113.53"]}`, `{"uid":5,"resolvers":["[fe80::1%eth0]:53"]}`, `{"uid":5,"resolvers":["a.example.com:53"]}`,
		`{"uid":5,"table":"x"}`,
	} {
		here(func() {
			if _, err := h.Do(context.Background(), "egress-wall", json.RawMessage(args)); codeOf(err) != codeInvalid {
				t.Errorf("%s: %v", args, err)
			}
		})
	}
}
