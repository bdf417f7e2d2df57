package egress

import (
	"io"
	"net"
	"testing"

	"stacyvm/native/internal/egresswire"
)

func exchange(t *testing.T, slot *net.UnixConn, text string) {
	t.Helper()
	if _, err := slot.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(slot, got); err != nil || string(got) != text {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestANameIsResolvedDialledAndCarriedBothWays(t *testing.T) {
	s := startGateway(t)
	serveNames(t, zone{"api.example.com": addressesOf(60, "203.0.113.7", "2001:db8::7")})
	echo(t, "203.0.113.7:443")
	a := s.sandboxOf("sb-1", publicPolicy)
	slot := a.must("API.example.com.", 443)
	exchange(t, slot, "hello")
	decision := s.event("decision")
	for member, want := range map[string]any{
		"sandbox": "sb-1", "kind": "connect", "host": "api.example.com", "address": "203.0.113.7", "port": 443.0,
		"decision": "allowed", "reason": "public", "policy": "server",
	} {
		if decision[member] != want {
			t.Errorf("%s: %v, want %v", member, decision[member], want)
		}
	}
	if err := slot.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(slot); err != nil || len(rest) > 0 {
		t.Fatalf("%q, %v", rest, err)
	}
	closed := s.event("closed")
	if closed["flow"] != decision["flow"] || closed["sent"] != 5.0 || closed["received"] != 5.0 || closed["reason"] != "ended" {
		t.Errorf("%v", closed)
	}
	usage := s.must(`"op":"usage"`)["sandboxes"].(map[string]any)["sb-1"].(map[string]any)
	if usage["allowed"] != 1.0 || usage["sent"] != 5.0 || usage["received"] != 5.0 || usage["open"] != 0.0 {
		t.Errorf("%v", usage)
	}
}

func TestWhatIsAlwaysDeniedIsReachedByNoNameAndNoSpelling(t *testing.T) {
	s := startGateway(t)
	serveNames(t, zone{
		"private.test":  addressesOf(60, "10.1.2.3"),
		"metadata.test": addressesOf(60, "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"),
		"host.test":     addressesOf(60, hostAddress, hostAddress6),
		"loopback.test": addressesOf(60, "127.0.0.1", "::1"),
	})
	reached := []*counter{echo(t, "10.1.2.3:80"), echo(t, "169.254.169.254:80")}
	own, err := net.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	a := s.sandboxOf("sb-1", publicPolicy)
	for _, target := range []string{
		"private.test", "metadata.test", "host.test", "loopback.test", "10.1.2.3", "169.254.169.254", hostAddress, hostAddress6, "127.0.0.1", "127.1.2.3", "0.0.0.0", "::", "::1",
		"::ffff:127.0.0.1", "::ffff:203.0.113.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fe80::1%outer",
	} {
		if _, answer := a.connect(target, 80); answer.Error != egresswire.Denied {
			t.Errorf("%s: %+v", target, answer)
		}
		if decision := s.event("decision"); decision["reason"] != "always_denied" || decision["decision"] != "denied" {
			t.Errorf("%s: %v", target, decision)
		}
	}
	for _, seen := range reached {
		if seen.count() > 0 {
			t.Error("something was connected to")
		}
	}
}

func TestOfAPublicAndAPrivateAddressOnlyThePublicOneIsDialled(t *testing.T) {
	s := startGateway(t)
	serveNames(t, zone{"mixed.test": addressesOf(60, "10.1.2.3", "203.0.113.7", "::ffff:10.1.2.3")})
	private := echo(t, "10.1.2.3:80")
	echo(t, "203.0.113.7:80")
	a := s.sandboxOf("sb-1", publicPolicy)
	exchange(t, a.must("mixed.test", 80), "hello")
	if decision := s.event("decision"); decision["address"] != "203.0.113.7" || private.count() > 0 {
		t.Errorf("%v, %d", decision, private.count())
	}
}
