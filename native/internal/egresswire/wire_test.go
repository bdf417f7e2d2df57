package egresswire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns both ends of a unix stream socket.
func pair(t *testing.T) (*net.UnixConn, *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "slot")
		conn, err := net.FileConn(file)
		_ = file.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { _ = conn.Close() })
	}
	return ends[0], ends[1]
}

func framed(payload string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(payload))), payload...)
}

func TestARequestAndItsAnswerComeThroughAndNotAByteBehindThemIsRead(t *testing.T) {
	agent, gateway := pair(t)
	asked := Request{Open: OpenTCP, Host: "api.example.com", Port: 443}
	if err := Write(agent, asked); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Write([]byte("raw")); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRequest(gateway)
	if err != nil || got != asked {
		t.Fatalf("%+v, %v", got, err)
	}
	raw := make([]byte, 3)
	if _, err := io.ReadFull(gateway, raw); err != nil || string(raw) != "raw" {
		t.Errorf("%q, %v", raw, err)
	}
	told := Answer{Error: Denied, Message: "no rule allows it"}
	if err := Write(gateway, told); err != nil {
		t.Fatal(err)
	}
	if answer, err := ReadAnswer(agent); err != nil || answer != told {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestFramesThatAreNoRequestsAreRefused(t *testing.T) {
	for name, frame := range map[string][]byte{
		"no JSON":             framed("open"),
		"empty":               framed(""),
		"a list":              framed("[]"),
		"two":                 framed(`{"open":"tcp"}{"open":"tcp"}`),
		"an unknown member":   framed(`{"open":"tcp","as":"root"}`),
		"a float for a port":  framed(`{"open":"tcp","port":443.5}`),
		"longer than a frame": binary.BigEndian.AppendUint16(nil, frameBytes+1),
	} {
		agent, gateway := pair(t)
		if _, err := agent.Write(frame); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadRequest(gateway); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAnswerIsOkOrAnError(t *testing.T) {
	for _, payload := range []string{`{}`, `{"ok":false}`, `{"ok":true,"error":"denied"}`, `null`} {
		agent, gateway := pair(t)
		if _, err := gateway.Write(framed(payload)); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadAnswer(agent); !errors.Is(err, ErrFrame) {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

func TestAFrameThatBeganHasTenSecondsAndOneThatDidNotHasForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent, gateway := net.Pipe()
		done := make(chan error)
		begun := time.Now()
		go func() {
			_, err := ReadRequest(gateway)
			done <- err
		}()
		time.Sleep(time.Hour)
		if _, err := agent.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		err := <-done
		if took := time.Since(begun); !errors.Is(err, os.ErrDeadlineExceeded) || took != time.Hour+frameTimeout {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestAFrameThatNobodyReadsHasTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agent, gateway := net.Pipe()
		begun := time.Now()
		err := Write(gateway, Answer{OK: true})
		if took := time.Since(begun); !errors.Is(err, os.ErrDeadlineExceeded) || took != frameTimeout {
			t.Errorf("%v after %v", err, took)
		}
		_ = agent.Close()
	})
}

func TestAMessageThatFitsNoFrameIsNotSent(t *testing.T) {
	agent, _ := pair(t)
	if err := Write(agent, Request{Message: strings.Repeat("A", frameBytes)}); !errors.Is(err, ErrFrame) {
		t.Error(err)
	}
	if err := Write(agent, Answer{OK: true, Message: strings.Repeat("A", (MessageBytes+2)/3*4)}); err != nil {
		t.Error(err)
	}
}

// pieces hands out bytes in pieces of the given sizes; what is left shows how much was taken.
type pieces struct {
	net.Conn
	rest  []byte
	sizes []byte
	at    int
}

func (p *pieces) Read(to []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := len(p.rest)
	if len(p.sizes) > 0 {
		n = int(p.sizes[p.at%len(p.sizes)]) + 1
		p.at++
	}
	n = copy(to[:min(n, len(to))], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pieces) SetReadDeadline(time.Time) error { return nil }

func FuzzFrames(f *testing.F) {
	f.Add(framed(`{"open":"tcp","host":"api.example.com","port":443}`), []byte{0})
	f.Add(framed(`{"open":"dns","message":"AAAA"}`), []byte{3, 200})
	f.Add(framed(`{"ok":true,"ttl":4294967296}`), []byte{})
	f.Add(framed(`{"error":"denied","message":"\ud800"}`), []byte{1})
	f.Add([]byte{0xff, 0xff, 0}, []byte{7})
	f.Fuzz(func(t *testing.T, input, sizes []byte) {
		whole := len(input) >= 2 && len(input)-2 >= int(binary.BigEndian.Uint16(input))
		one := &pieces{rest: bytes.Clone(input)}
		cut := &pieces{rest: bytes.Clone(input), sizes: sizes}
		got, err := ReadRequest(one)
		again, errCut := ReadRequest(cut)
		if got != again || (err == nil) != (errCut == nil) || len(one.rest) != len(cut.rest) {
			t.Fatalf("whole: %+v, %v; in pieces: %+v, %v", got, err, again, errCut)
		}
		if err == nil && !whole {
			t.Fatal("a request was read that had not come")
		}
		if whole && int(binary.BigEndian.Uint16(input)) <= frameBytes && len(one.rest) != len(input)-2-int(binary.BigEndian.Uint16(input)) {
			t.Fatalf("%d bytes are left of %d", len(one.rest), len(input))
		}
		if answer, err := ReadAnswer(&pieces{rest: bytes.Clone(input)}); err == nil && answer.OK == (answer.Error != "") {
			t.Fatalf("%+v", answer)
		}
	})
}

func TestAnEndInsideOfAFrameIsNoCleanEnd(t *testing.T) {
	frame := framed(`{"open":"tcp"}`)
	for length := range frame {
		_, err := ReadRequest(&pieces{rest: frame[:length]})
		want := io.ErrUnexpectedEOF
		if length == 0 {
			want = io.EOF
		}
		if !errors.Is(err, want) {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

func TestNames(t *testing.T) {
	label := strings.Repeat("a", 63)
	longest := strings.Join([]string{label, label, label, label[:61]}, ".")
	for host, want := range map[string]string{
		"API.Example.COM":  "api.example.com",
		"api.example.com.": "api.example.com",
		"_sip._tcp.a":      "_sip._tcp.a",
		"xn--bcher-kva.de": "xn--bcher-kva.de",
		"localhost":        "localhost",
		longest:            longest,
		longest + ".":      longest,
		"":                 "",
		".":                "",
		"..":               "",
		"a..b":             "",
		".a":               "",
		"a..":              "",
		"bücher.de":        "",
		"\u212a.example":   "",
		"a b":              "",
		"a/b":              "",
		"a\x00b":           "",
		"*.example.com":    "",
		"[::1]":            "",
		"::1":              "",
		"a:80":             "",
		label + "a":        "",
		longest + "a":      "",
	} {
		if got, ok := Name(host); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t; want %q", host, got, ok, want)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("API.Example.com.")
	f.Fuzz(func(t *testing.T, host string) {
		name, ok := Name(host)
		if !ok {
			return
		}
		if again, ok := Name(name); !ok || again != name || !strings.EqualFold(name, strings.TrimSuffix(host, ".")) {
			t.Errorf("%q: %q, then %q", host, name, again)
		}
	})
}

func TestANumberIsNobodysName(t *testing.T) {
	for name, want := range map[string]bool{
		"127.0.0.1": true, "2130706433": true, "0x7f000001": true, "127.0x1": true, "017700000001": true, "example.0x": true,
		"example.com": false, "1.example": false, "0xg": false, "1e100.net": false, "7f": false,
	} {
		if IsNumeric(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}

func TestAShutdownIsToldFromAClose(t *testing.T) {
	agent, gateway := pair(t)
	if err := gateway.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := agent.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	if HungUp(agent) {
		t.Error("a shutdown of writing is taken for a close")
	}
	closed := make(chan struct{})
	go func() {
		WaitHangup(agent)
		close(closed)
	}()
	_ = gateway.Close()
	<-closed
	if !HungUp(agent) {
		t.Error("a close is taken for a shutdown of writing")
	}
}

func TestWaitingForAHangupEndsWithOnesOwnClose(t *testing.T) {
	agent, gateway := pair(t)
	_ = gateway.CloseWrite()
	closed := make(chan struct{})
	go func() {
		WaitHangup(agent)
		close(closed)
	}()
	_ = agent.Close()
	<-closed
}
