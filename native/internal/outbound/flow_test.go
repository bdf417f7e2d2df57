package outbound

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

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
	first := newGateway(t, path, 8, func(request egresswire.Request, slot *net.UnixConn) {
		if request.Port != 25 {
			echo(request, slot)
			return
		}
		say(slot, egresswire.Answer{OK: true})
		_ = slot.CloseWrite()
		egresswire.WaitHangup(slot)
	})
	spokenTo := s.mustDial("203.0.113.7:25")
	if _, err := spokenTo.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%v", err)
	}
	quiet := s.mustDial("203.0.113.7:80")
	halfClosed := s.mustDial("203.0.113.7:80")
	if err := halfClosed.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	first.kill()
	if _, err := quiet.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("%v", err)
	}
	raw, err := spokenTo.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a connection that only the other side had ended is reset", func() bool {
		failure := 0
		_ = raw.Control(func(fd uintptr) { failure, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR) })
		return failure != 0
	})
	newGateway(t, path, 2, echo)
	conn := s.mustDial("203.0.113.7:80")
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

func TestAResetAfterTheProgramHasEndedItsDirectionGoesThrough(t *testing.T) {
	s, _, path := newSandbox(t)
	read, over := make(chan struct{}), make(chan struct{})
	newGateway(t, path, 1, func(_ egresswire.Request, slot *net.UnixConn) {
		say(slot, egresswire.Answer{OK: true})
		_, _ = io.ReadAll(slot)
		close(read)
		egresswire.WaitHangup(slot)
		close(over)
	})
	conn := s.mustDial("203.0.113.7:80")
	if err := errors.Join(conn.CloseWrite(), conn.SetLinger(0)); err != nil {
		t.Fatal(err)
	}
	<-read
	conn.Close()
	select {
	case <-over:
	case <-time.After(patience):
		t.Error("the gateway isn't told")
	}
}

func TestWhatWasSentIsKeptForTheProgramAfterBothEnds(t *testing.T) {
	s, door, path := newSandbox(t)
	over := make(chan struct{})
	long := bytes.Repeat([]byte("x"), 5<<19)
	newGateway(t, path, 1, func(_ egresswire.Request, slot *net.UnixConn) {
		say(slot, egresswire.Answer{OK: true})
		_, _ = slot.Write(long)
		_ = slot.CloseWrite()
		egresswire.WaitHangup(slot)
		close(over)
	})
	conn := s.mustDial("203.0.113.7:80")
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 2<<20) // so that the rest fits where it waits
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	<-over
	rest, err := io.ReadAll(conn)
	if len(head)+len(rest) != len(long) || err != nil {
		t.Errorf("%d bytes of %d, %v", len(head)+len(rest), len(long), err)
	}
	eventually(t, "nothing is left", func() bool { return door.network.Load().flows.Load() == 0 })
}
