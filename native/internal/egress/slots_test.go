package egress

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/egresswire"
)

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		time.Sleep(time.Millisecond)
	}
}

// slotsOf makes a sandbox of its own, without a server.
func slotsOf(t *testing.T, door Door) *slots {
	t.Helper()
	gateway, err := New(io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s := newSandbox("sb-1", &gateway.table, &gateway.roots, nil, gateway.output)
	s.limits.Store(&Limits{})
	slots := newSlots(s, door)
	s.slots = slots
	t.Cleanup(slots.end)
	return slots
}

func (s *slots) counts() (waiting, total int, backoff time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting), s.total, s.backoff
}

func TestEightSlotsWaitAndTwoAfterAMinuteWithoutARequest(t *testing.T) {
	a := startAgent(t)
	s := slotsOf(t, Door{Path: a.path})
	eventually(t, "eight slots", func() bool { waiting, total, _ := s.counts(); return waiting == slotsWaiting && total == slotsWaiting })
	s.mu.Lock()
	s.taken = time.Now().Add(-idleTimeout)
	s.mu.Unlock()
	s.nudge()
	eventually(t, "two slots", func() bool { waiting, total, _ := s.counts(); return waiting == slotsResting && total == slotsResting })
	for {
		slot := <-a.slots
		if egresswire.Write(slot, egresswire.Request{Open: "?"}) != nil {
			continue
		}
		if _, err := egresswire.ReadAnswer(slot); err == nil {
			break
		}
	}
	eventually(t, "eight again", func() bool { waiting, _, _ := s.counts(); return waiting >= slotsWaiting })
}

func TestADoorThatIsNotThereYetIsTriedUntilItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door.sock")
	s := slotsOf(t, Door{Path: path})
	eventually(t, "a backoff", func() bool { _, _, backoff := s.counts(); return backoff > 4*minBackoff })
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	eventually(t, "eight slots", func() bool { waiting, _, _ := s.counts(); return waiting == slotsWaiting })
}

func TestAnAgentThatThrowsEverySlotAwayIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "door.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			slot, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = slot.Read(make([]byte, 1))
			_ = slot.Close()
		}
	}()
	s := slotsOf(t, Door{Path: path})
	eventually(t, "the longest backoff", func() bool { _, _, backoff := s.counts(); return backoff == maxBackoff })
}

func TestMalformedFramesCostTheirSlotAndNothingElse(t *testing.T) {
	s := startGateway(t)
	echo(t, "203.0.113.7:443")
	a := s.sandboxOf("sb-1", publicPolicy)
	for _, frame := range []string{"\x00\x00", "\xff\xff", "\x00\x02{}", "\x00\x01\xff", "GET / HTTP/1.1\r\n\r\n"} {
		slot := <-a.slots
		if _, err := io.WriteString(slot, frame); err != nil {
			t.Fatal(err)
		}
		_ = slot.CloseWrite()
		_, _ = io.Copy(io.Discard, slot)
	}
	exchange(t, a.must("203.0.113.7", 443), "hello")
}

func TestAtADoorThatTheSandboxMadeNothingButASocketIsConnectedTo(t *testing.T) {
	directory := t.TempDir()
	a := startAgent(t)
	link, file, pipe := filepath.Join(directory, "link"), filepath.Join(directory, "file"), filepath.Join(directory, "pipe")
	if err := os.Symlink(a.path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, file, pipe, directory, filepath.Join(directory, "nothing")} {
		if slot, err := (Door{Path: path, GuestMade: true}).knock(t.Context()); err == nil {
			t.Errorf("%s is connected to", path)
			_ = slot.Close()
		}
	}
	slot, err := (Door{Path: a.path, GuestMade: true}).knock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = slot.Close()
	<-a.slots
}

func TestASandboxHasNoMoreSlotsThanConnectionsAndAFewMore(t *testing.T) {
	s := startGateway(t)
	echo(t, "203.0.113.7:443")
	a := startAgent(t)
	s.set("sb-1", a, publicPolicy, limits(4, 0, 0, 0))
	for range 4 {
		a.must("203.0.113.7", 443)
	}
	// A resolver that never answers keeps the spare ones busy.
	inOutside(t, func() error {
		silent, err := net.ListenPacket("udp", "203.0.113.53:53")
		t.Cleanup(func() { _ = silent.Close() })
		return err
	})
	for range maxSpareSlots {
		if err := egresswire.Write(<-a.slots, resolveRequest("slow.test")); err != nil {
			t.Fatal(err)
		}
	}
	slots := s.gateway.sandboxes["sb-1"].slots
	eventually(t, "all slots are taken", func() bool { waiting, total, _ := slots.counts(); return waiting == 0 && total == 4+maxSpareSlots })
	if more, _ := slots.short(); more {
		t.Error("one more is wanted")
	}
}
