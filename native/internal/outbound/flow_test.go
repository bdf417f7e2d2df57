package outbound

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/egresswire"
)

func TestAConnectionIsAskedForByTheNameThatWasLookedUp(t *testing.T) {
	s, _, path := newSandbox(t)
	asked := make(chan egresswire.Request, 8)
	newGateway(t, path, 2, func(request egresswire.Request, slot *net.UnixConn) {
		asked <- request
		echo(request, slot)
	})
	first, err := s.lookup("api.example.com")
	second, err2 := s.lookup("Other.Example.COM")
	again, err3 := s.lookup("api.example.com")
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	if first != "198.18.1.0" || second != "198.18.1.1" || again != first {
		t.Errorf("addresses %s, %s, %s", first, second, again)
	}
	for len(asked) > 0 {
		<-asked
	}
	conn := s.mustDial(second + ":443")
	if got := <-asked; got != (egresswire.Request{Open: "tcp", Host: "other.example.com", Port: 443}) {
		t.Errorf("%+v", got)
	}
	s.mustDial("203.0.113.7:80")
	if got := <-asked; got != (egresswire.Request{Open: "tcp", Address: "203.0.113.7", Port: 80}) {
		t.Errorf("%+v", got)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestWhatTheGatewayDoesNotOpenIsRefused(t *testing.T) {
	s, _, path := newSandbox(t)
	newGateway(t, path, 2, func(request egresswire.Request, slot *net.UnixConn) {
		say(slot, egresswire.Answer{Error: egresswire.Denied, Message: "not allowed"})
	})
	for _, address := range []string{"203.0.113.7:80", "10.0.0.1:80", "169.254.169.254:80"} {
		if _, err := s.dial(address); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAnAddressThatNoNameHasIsRefusedWithoutTheGateway(t *testing.T) {
	s, _, path := newSandbox(t)
	newGateway(t, path, 1, func(request egresswire.Request, slot *net.UnixConn) {
		t.Errorf("asked for %+v", request)
		echo(request, slot)
	})
	for _, address := range []string{"198.18.1.0:80", "198.18.0.2:80", "198.19.255.254:80", "198.18.0.0:80"} {
		if _, err := s.dial(address); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestEachDirectionEndsByItself(t *testing.T) {
	s, _, path := newSandbox(t)
	got := make(chan []byte, 1)
	newGateway(t, path, 1, func(_ egresswire.Request, slot *net.UnixConn) {
		say(slot, egresswire.Answer{OK: true})
		_, _ = slot.Write([]byte("banner"))
		_ = slot.CloseWrite()
		all, _ := io.ReadAll(slot)
		got <- all
	})
	conn := s.mustDial("203.0.113.7:25")
	if banner, err := io.ReadAll(conn); string(banner) != "banner" || err != nil {
		t.Fatalf("%q, %v", banner, err)
	}
	long := bytes.Repeat([]byte("x"), 1<<20)
	if _, err := conn.Write(long); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if !bytes.Equal(<-got, long) {
		t.Error("what was sent after the other side's end is lost")
	}
}

func TestAResetGoesThrough(t *testing.T) {
	s, _, path := newSandbox(t)
	ended := make(chan error, 1)
	hold := make(chan struct{})
	newGateway(t, path, 2, func(request egresswire.Request, slot *net.UnixConn) {
		say(slot, egresswire.Answer{OK: true})
		if request.Port == 1 {
			_, _ = slot.Read(make([]byte, 1))
			return // closes the slot
		}
		<-hold
		_, err := io.ReadAll(slot)
		if err == nil && !egresswire.HungUp(slot) {
			err = errors.New("only one direction ended")
		}
		ended <- err
	})
	conn := s.mustDial("203.0.113.7:1")
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("inside: %v", err)
	}
	conn = s.mustDial("203.0.113.7:2")
	if err := conn.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	close(hold)
	if err := <-ended; err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("gateway: %v", err)
	}
}

func TestTheEndOfTheGatewayResetsWhatItCarriedAndTheNextOneServes(t *testing.T) {
	s, _, path := newSandbox(t)
	first := newGateway(t, path, 8, echo)
	quiet := s.mustDial("203.0.113.7:80")
	halfClosed := s.mustDial("203.0.113.7:80")
	if err := halfClosed.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	first.kill()
	if _, err := quiet.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("%v", err)
	}
	newGateway(t, path, 2, echo)
	conn := s.mustDial("203.0.113.7:80")
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}
