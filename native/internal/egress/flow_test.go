package egress

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"stacyvm/native/internal/egresswire"
)

const noLimits = `{"connections":0,"connections_per_second":0,"bytes_per_second":0,"idle_seconds":0}`

// ended waits until nothing more comes on a slot.
func ended(t *testing.T, slot *net.UnixConn) {
	t.Helper()
	if rest, err := io.ReadAll(slot); len(rest) > 0 {
		t.Errorf("%q came before the end, %v", rest, err)
	}
}

func TestAPolicyThatChangesCutsWhatItNoLongerAllowsAndNothingElse(t *testing.T) {
	s := startGateway(t)
	serveNames(t, zone{"api.example.com": addressesOf(60, "203.0.113.7"), "other.test": addressesOf(60, "203.0.113.7")})
	reset := make(chan error, 1)
	echo(t, "203.0.113.7:443")
	serveOutside(t, "203.0.113.8:443", func(conn *net.TCPConn) {
		_, err := io.Copy(conn, conn)
		reset <- err
	})
	a := s.sandboxOf("sb-1", publicPolicy)
	neighbour := s.sandboxOf("sb-2", publicPolicy)
	kept, named, literal, theirs := a.must("api.example.com", 443), a.must("other.test", 443), a.must("203.0.113.8", 443), neighbour.must("203.0.113.8", 443)
	for _, slot := range []*net.UnixConn{kept, named, literal, theirs} {
		exchange(t, slot, "hello")
	}
	only := `{"name":"sandbox","mode":"allowlist","allow":[{"text":"api.example.com:443","host":"api.example.com","ports":[[443,443]]}],"deny":[]}`
	if cut := s.set("sb-1", a, publicPolicy+","+only, noLimits)["cut"]; cut != 2.0 {
		t.Errorf("%v are cut", cut)
	}
	ended(t, named)
	ended(t, literal)
	for range 2 {
		if closed := s.event("closed"); closed["reason"] != "policy_changed" || closed["sandbox"] != "sb-1" {
			t.Errorf("%v", closed)
		}
	}
	if err := <-reset; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the other end saw %v", err)
	}
	exchange(t, kept, "still")
	exchange(t, theirs, "still")
	if _, answer := a.connect("other.test", 443); answer.Error != egresswire.Denied {
		t.Errorf("%+v", answer)
	}
	if decision := s.event("decision"); decision["reason"] != "not_allowed" || decision["policy"] != "sandbox" {
		t.Errorf("%v", decision)
	}
}

func TestARuleThatDeniesANameThatAClientSaidCutsItsConnection(t *testing.T) {
	s := startGateway(t)
	echo(t, "203.0.113.7:443")
	a := s.sandboxOf("sb-1", denyEvil)
	slot := a.must("203.0.113.7", 443)
	exchange(t, slot, clientHello(t, "other.test"))
	if cut := s.set("sb-1", a, strings.ReplaceAll(denyEvil, "evil.test", "other.test"), noLimits)["cut"]; cut != 1.0 {
		t.Errorf("%v are cut", cut)
	}
	ended(t, slot)
}

func TestWhatTheOperatorOpenedAndClosedAgainIsCut(t *testing.T) {
	s := startGateway(t, "10.1.2.3/32")
	echo(t, "10.1.2.3:80")
	a := s.sandboxOf("sb-1", publicPolicy)
	slot := a.must("10.1.2.3", 80)
	exchange(t, slot, "hello")
	if cut := s.must(`"op":"configure","resolvers":[],"open":[]`)["cut"]; cut != 1.0 {
		t.Errorf("%v are cut", cut)
	}
	ended(t, slot)
	if _, answer := a.connect("10.1.2.3", 80); answer.Error != egresswire.Denied {
		t.Errorf("%+v", answer)
	}
}

func TestADroppedSandboxHasNeitherFlowsNorSlots(t *testing.T) {
	s := startGateway(t)
	echo(t, "203.0.113.7:443")
	a := s.sandboxOf("sb-1", publicPolicy)
	slot := a.must("203.0.113.7", 443)
	exchange(t, slot, "hello")
	waiting := make([]*net.UnixConn, slotsWaiting)
	for i := range waiting {
		waiting[i] = <-a.slots
	}
	if cut := s.must(`"op":"drop","sandbox":"sb-1"`)["cut"]; cut != 1.0 {
		t.Errorf("%v are cut", cut)
	}
	ended(t, slot)
	if closed := s.event("closed"); closed["reason"] != "dropped" || closed["sent"] != 5.0 {
		t.Errorf("%v", closed)
	}
	for _, one := range waiting {
		ended(t, one)
	}
	if usage := s.must(`"op":"usage"`)["sandboxes"].(map[string]any); len(usage) > 0 {
		t.Errorf("%v", usage)
	}
	if cut := s.must(`"op":"drop","sandbox":"sb-1"`)["cut"]; cut != 0.0 {
		t.Errorf("%v are cut", cut)
	}
}

func TestAnEndIsCarriedInEachDirectionAndAResetIsOne(t *testing.T) {
	s := startGateway(t)
	a := s.sandboxOf("sb-1", publicPolicy)
	seen := make(chan error, 1)
	script := func(port int, serve func(*net.TCPConn)) *net.UnixConn {
		serveOutside(t, fmt.Sprintf("203.0.113.7:%d", port), serve)
		return a.must("203.0.113.7", port)
	}
	closed := func(reason string) {
		t.Helper()
		if event := s.event("closed"); event["reason"] != reason {
			t.Errorf("%v, not %s", event, reason)
		}
	}

	slot := script(1001, func(conn *net.TCPConn) {
		all, err := io.ReadAll(conn)
		_, _ = fmt.Fprintf(conn, "%d %v", len(all), err)
	})
	_, _ = slot.Write(make([]byte, 100_000))
	_ = slot.CloseWrite()
	if answer, err := io.ReadAll(slot); string(answer) != "100000 <nil>" || err != nil {
		t.Errorf("the sandbox ends first: %q, %v", answer, err)
	}
	closed("ended")

	slot = script(1002, func(conn *net.TCPConn) {
		_, _ = conn.Write([]byte("bye"))
		_ = conn.CloseWrite()
		all, _ := io.ReadAll(conn)
		seen <- errors.New(string(all))
	})
	if answer, err := io.ReadAll(slot); string(answer) != "bye" || err != nil || egresswire.HungUp(slot) {
		t.Errorf("the other end ends first: %q, %v", answer, err)
	}
	_, _ = slot.Write([]byte("more"))
	_ = slot.CloseWrite()
	if got := <-seen; got.Error() != "more" {
		t.Errorf("the other end received %q", got)
	}
	closed("ended")

	slot = script(1003, func(conn *net.TCPConn) {
		_, _ = io.ReadFull(conn, make([]byte, 1))
		_ = conn.SetLinger(0)
	})
	_, _ = slot.Write([]byte("x"))
	if _, err := io.ReadAll(slot); err == nil && !egresswire.HungUp(slot) {
		t.Error("a reset of the other end looks like an end")
	}
	closed("reset")

	waits := func(conn *net.TCPConn) {
		_, err := io.ReadAll(conn)
		seen <- err
	}
	slot = script(1004, waits)
	_ = slot.Close()
	if err := <-seen; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the sandbox resets, the other end saw %v", err)
	}
	closed("reset")

	// The sandbox has ended its direction, and then goes away while the other end says nothing.
	read := make(chan struct{})
	slot = script(1005, func(conn *net.TCPConn) {
		_, _ = io.ReadAll(conn)
		close(read)
		_, err := conn.Write([]byte("x"))
		for err == nil {
			_, err = conn.Write(make([]byte, 1<<10))
		}
		seen <- err
	})
	_ = slot.CloseWrite()
	<-read
	_ = slot.Close()
	if err := <-seen; err == nil {
		t.Error("the other end goes on for ever")
	}
	closed("reset")
}

func TestAConnectionThatCannotBeMadeSaysWhy(t *testing.T) {
	s := startGateway(t)
	serveNames(t, zone{"gone.test": addressesOf(60, "203.0.113.7"), "empty.test": addressesOf(60),
		"127.1": addressesOf(60, "203.0.113.7"), "0x7f000001": addressesOf(60, "203.0.113.7")})
	a := s.sandboxOf("sb-1", publicPolicy)
	for target, want := range map[string][2]string{
		"203.0.113.7": {egresswire.Refused, "refused"}, "gone.test": {egresswire.Refused, "refused"},
		"198.51.100.1": {egresswire.Unreachable, "unreachable"}, "2001:db8:1::1": {egresswire.Unreachable, "unreachable"},
		"nowhere.test": {egresswire.UnknownHost, "unknown_host"}, "empty.test": {egresswire.UnknownHost, "unknown_host"},
		"127.1": {egresswire.UnknownHost, "unknown_host"}, "0x7f000001": {egresswire.UnknownHost, "unknown_host"},
	} {
		if _, answer := a.connect(target, 9); answer.Error != want[0] {
			t.Errorf("%s: %+v", target, answer)
		}
		if decision := s.event("decision"); decision["decision"] != "failed" || decision["reason"] != want[1] {
			t.Errorf("%s: %v", target, decision)
		}
	}
	for _, request := range []egresswire.Request{
		{Open: "tcp"}, {Open: "tcp", Host: "a.test"}, {Open: "tcp", Host: "a.test", Port: 65_536}, {Open: "tcp", Host: "a.test", Port: -1},
		{Open: "tcp", Host: "a.test", Address: "203.0.113.7", Port: 80}, {Open: "tcp", Address: "a.test", Port: 80}, {Open: "tcp", Address: "203.0.113.7/32", Port: 80},
		{Open: "tcp", Host: "a..test", Port: 80}, {Open: "udp", Host: "a.test", Port: 80}, {Open: "resolve", Host: "a b"}, {Open: "dns", Message: "?"}, {Open: "dns"},
	} {
		if _, answer := a.ask(request); answer.Error != egresswire.Invalid {
			t.Errorf("%+v: %+v", request, answer)
		}
	}
}

func TestTheNextAddressIsTriedWhereOneDoesNotAnswer(t *testing.T) {
	s := startGateway(t)
	serveNames(t, zone{"both.test": addressesOf(60, "203.0.113.8", "203.0.113.7"), "six.test": addressesOf(60, "198.51.100.1", "2001:db8::7")})
	echo(t, "203.0.113.7:443")
	echo(t, "[2001:db8::7]:443")
	a := s.sandboxOf("sb-1", publicPolicy)
	for name, want := range map[string]string{"both.test": "203.0.113.7", "six.test": "2001:db8::7"} {
		exchange(t, a.must(name, 443), "hello")
		if decision := s.event("decision"); decision["address"] != want {
			t.Errorf("%v", decision)
		}
	}
}
