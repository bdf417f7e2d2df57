package forward

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const patience = 20 * time.Second

// runVariable has a test's own process run a program as the server's would be.
const runVariable = "FORWARD_TEST_RUN"

func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == Inside:
		err = Enter(os.Args[2:])
	case os.Getenv(runVariable) != "":
		_ = os.Unsetenv(runVariable)
		err = Run(Config{Known: strings.Fields(os.Args[1])}, os.Args[2], os.Args[3:])
	default:
		os.Exit(m.Run())
	}
	var ended Ended
	if errors.As(err, &ended) {
		os.Exit(int(ended))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve starts a proxy and returns its address with the password, and what it tells.
func serve(t *testing.T, known ...string) (*url.URL, *lines) {
	t.Helper()
	told := &lines{}
	f, err := New(Config{Known: known}, told)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { _ = f.Serve(listener) }()
	address, err := url.Parse(f.Address(listener.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	return address, told
}

// web is a server on this host that counts what comes.
func web(t *testing.T) (authority string, heard *atomic.Int64) {
	t.Helper()
	heard = &atomic.Int64{}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard.Add(1)
		_, _ = fmt.Fprintf(w, "%s %s%s", r.Host, r.URL.RequestURI(), strings.Join(r.Header["Proxy-Authorization"], ""))
	})}
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), heard
}

// say sends a request as it is written to a proxy, with or without its password.
func say(t *testing.T, proxy *url.URL, withPassword bool, request string) (status int, line, body string) {
	t.Helper()
	conn, err := net.Dial("tcp", proxy.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	head, rest, _ := strings.Cut(request, "\r\n\r\n")
	if withPassword {
		head += "\r\nProxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(proxy.User.String()))
	}
	if _, err := io.WriteString(conn, head+"\r\n\r\n"+rest); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode == http.StatusOK && strings.HasPrefix(request, "CONNECT") {
		response, err = http.ReadResponse(reader, nil)
		if err != nil {
			return http.StatusOK, "", ""
		}
	}
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Status, string(read)
}

func TestRequestsAndTunnelsGoThroughForWhoeverKnowsThePassword(t *testing.T) {
	known, heard := web(t)
	proxy, _ := serve(t, known)
	plain := "GET http://" + known + "/a?b=%20c HTTP/1.1\r\nHost: " + known + "\r\nConnection: close\r\n\r\n"
	tunnel := "CONNECT " + known + " HTTP/1.1\r\nHost: " + known + "\r\n\r\nGET /a?b=%20c HTTP/1.1\r\nHost: " + known + "\r\nConnection: close\r\n\r\n"
	for _, request := range []string{plain, tunnel} {
		if status, _, _ := say(t, proxy, false, request); status != http.StatusProxyAuthRequired {
			t.Errorf("without the password: %d", status)
		}
	}
	if heard.Load() != 0 {
		t.Fatal("it went through without the password")
	}
	for _, request := range []string{plain, tunnel} {
		if status, _, body := say(t, proxy, true, request); status != http.StatusOK || body != known+" /a?b=%20c" {
			t.Errorf("%d %q", status, body)
		}
	}
}

func TestWhatIsInternalIsRefusedByNameOnOneLine(t *testing.T) {
	other, heard := web(t)
	proxy, told := serve(t, "127.0.0.1:1")
	want := other + " is on an internal address"
	if status, line, _ := say(t, proxy, true, "CONNECT "+other+" HTTP/1.1\r\nHost: "+other+"\r\n\r\n"); status != http.StatusForbidden || line != "403 "+want {
		t.Errorf("%d %q", status, line)
	}
	if status, _, body := say(t, proxy, true, "GET http://"+other+"/ HTTP/1.1\r\nHost: "+other+"\r\n\r\n"); status != http.StatusForbidden || body != want+"\n" {
		t.Errorf("%d %q", status, body)
	}
	if status, _, body := say(t, proxy, true, "CONNECT "+other+" HTTP/1.1\r\nHost: "+other+"\r\nStacyvm-Only: address\r\n\r\n"); status != http.StatusForbidden || body != want+"\n" {
		t.Errorf("%d %q", status, body)
	}
	if heard.Load() != 0 {
		t.Error("it went through")
	}
	if got := told.String(); got != strings.Repeat(want+"\n", 3) {
		t.Errorf("%q", got)
	}
	// The known one isn't there, which is no refusal; and to be asked about is no connection.
	if status, _, _ := say(t, proxy, true, "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n"); status != http.StatusBadGateway {
		t.Error(status)
	}
	if status, _, _ := say(t, proxy, true, "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nStacyvm-Only: address\r\n\r\n"); status != http.StatusOK {
		t.Error(status)
	}
	if status, _, _ := say(t, proxy, true, "GET / HTTP/1.1\r\nHost: "+other+"\r\n\r\n"); status != http.StatusBadRequest {
		t.Error(status)
	}
}

// confined runs a shell line as the server runs its tools.
func confined(t *testing.T, uid uint32, known, line string) *exec.Cmd {
	t.Helper()
	command := exec.Command("/proc/self/exe", known, "sh", "-c", line)
	command.Env = []string{runVariable + "=1", "PATH=" + os.Getenv("PATH"), "no_proxy=*", Variable + "={}"}
	command.SysProcAttr = &syscall.SysProcAttr{}
	if uid != 0 && os.Getuid() == 0 {
		command.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	return command
}

func TestAProgramReachesNothingButWhatItIsLet(t *testing.T) {
	known, heardKnown := web(t)
	other, heardOther := web(t)
	const script = `curl -sS http://%[1]s/direct; echo
curl -sS http://%[2]s/direct
curl -sS -o /dev/null -w '%%{http_code}\n' -x $HTTP_PROXY http://%[2]s/proxied
curl -sS -p -x $HTTPS_PROXY http://%[2]s/tunnelled
env | grep -i 'no_proxy\|FORWARD'
exit 7`
	for _, uid := range []uint32{0, 65534} {
		heardKnown.Store(0)
		_, port, _ := net.SplitHostPort(known)
		// Named twice, by two names of one place.
		twice := known + " localhost:" + port + " " + known
		out, err := confined(t, uid, twice, fmt.Sprintf(script, known, other)).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 7 {
			t.Errorf("as %d: %v: %s", uid, err, out)
		}
		if heardOther.Load() != 0 || heardKnown.Load() != 1 {
			t.Errorf("as %d: the other host heard %d requests, the known one %d: %s", uid, heardOther.Load(), heardKnown.Load(), out)
		}
		for _, want := range []string{known + " /direct\n", "\n403\n", other + " is on an internal address\n"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("as %d: no %q in %s", uid, want, out)
			}
		}
		if strings.Contains(string(out), "no_proxy=") || strings.Contains(string(out), "FORWARD") {
			t.Errorf("as %d: %s", uid, out)
		}
	}
}

func TestAProgramThatGetsNoNetworkOfItsOwnHasTheProxyAndRunsAllTheSame(t *testing.T) {
	other, heard := web(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ask := fmt.Sprintf("curl -sS -o /dev/null -w '%%{http_code}' -x $HTTP_PROXY http://%s/; exit 3", other)
	command := exec.Command("unshare", "--user", "--map-root-user", "sh", "-c",
		`echo 0 >/proc/sys/user/max_net_namespaces && exec "$@"`, "sh", self, "", "sh", "-c", ask)
	command.Env = confined(t, 0, "", "").Env
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.HasSuffix(string(out), "403") || heard.Load() != 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAProgramWhosePlacesCantBeMadeIsNotRunAtAll(t *testing.T) {
	var known strings.Builder // more than one message hands over
	for port := range 300 {
		fmt.Fprintf(&known, "127.0.0.1:%d ", 10_000+port)
	}
	out, err := confined(t, 0, known.String(), "echo it runs").CombinedOutput()
	if err == nil || strings.Contains(string(out), "it runs") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAProgramEndsWithWhatStartedIt(t *testing.T) {
	command := confined(t, 0, "", "echo begun; exec sleep 1000")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	command.Stdout = writer
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	_ = reader.SetReadDeadline(time.Now().Add(patience))
	lines := bufio.NewReader(reader)
	if line, err := lines.ReadString('\n'); line != "begun\n" {
		t.Fatal(line, err)
	}
	_ = command.Process.Kill()
	_ = command.Wait()
	// Nobody has the other end any more.
	if _, err := lines.ReadByte(); err != io.EOF {
		t.Error(err)
	}
}

func TestAProgramThatIsntThereIsNamed(t *testing.T) {
	command := confined(t, 0, "", "")
	command.Args[2] = "no-such-program"
	out, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no-such-program") {
		t.Errorf("%v: %s", err, out)
	}
}
