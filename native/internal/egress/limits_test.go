package egress

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"stacyvm/native/internal/egresswire"
)

func limits(connections, perSecond int, bytes int64, idle int) string {
	return fmt.Sprintf(`{"connections":%d,"connections_per_second":%d,"bytes_per_second":%d,"idle_seconds":%d}`, connections, perSecond, bytes, idle)
}

func TestNoMoreConnectionsAreOpenThanMayBe(t *testing.T) {
	s := startGateway(t)
	echo(t, "203.0.113.7:443")
	a := startAgent(t)
	s.set("sb-1", a, publicPolicy, limits(3, 0, 0, 0))
	neighbour := s.sandboxOf("sb-2", publicPolicy)
	slots := []*net.UnixConn{a.must("203.0.113.7", 443), a.must("203.0.113.7", 443), a.must("203.0.113.7", 443)}
	if _, answer := a.connect("203.0.113.7", 443); answer.Error != egresswire.Limit {
		t.Errorf("%+v", answer)
	}
	for event := s.event("decision"); event["reason"] != "limit"; event = s.event("decision") {
		if event["decision"] != "allowed" {
			t.Errorf("%v", event)
		}
	}
	exchange(t, neighbour.must("203.0.113.7", 443), "hello")
	_ = slots[0].Close()
	s.event("closed")
	exchange(t, a.must("203.0.113.7", 443), "hello")
}

func TestNoMoreConnectionsAreMadeInASecondThanMayBe(t *testing.T) {
	s := startGateway(t)
	echo(t, "203.0.113.7:443")
	a := startAgent(t)
	s.set("sb-1", a, publicPolicy, limits(0, 5, 0, 0))
	begun, limited := time.Now(), 0
	for range 40 {
		slot, answer := a.connect("203.0.113.7", 443)
		if answer.Error == egresswire.Limit {
			limited++
		}
		_ = slot.Close()
	}
	if allowed := 40 - limited; allowed < 5 || allowed > 5+int(5*time.Since(begun).Seconds())+1 {
		t.Errorf("%d in %v", allowed, time.Since(begun))
	}
}

func TestBytesComeNoFasterThanTheyMay(t *testing.T) {
	s := startGateway(t)
	serveOutside(t, "203.0.113.7:443", func(conn *net.TCPConn) { _, _ = conn.Write(make([]byte, 1_000_000)) })
	a := startAgent(t)
	s.set("sb-1", a, publicPolicy, limits(0, 0, 1_000_000, 0))
	begun := time.Now()
	if n, err := io.Copy(io.Discard, a.must("203.0.113.7", 443)); n != 1_000_000 || err != nil {
		t.Fatal(n, err)
	}
	// A tenth of a second's bytes come at once.
	if took := time.Since(begun); took < 800*time.Millisecond {
		t.Errorf("a second's bytes came in %v", took)
	}
}

func TestAConnectionOnWhichNothingComesEnds(t *testing.T) {
	s := startGateway(t)
	echo(t, "203.0.113.7:443")
	a := startAgent(t)
	s.set("sb-1", a, publicPolicy, limits(0, 0, 0, 3600))
	slot := a.must("203.0.113.7", 443)
	exchange(t, slot, "hello")
	// The limit changes while it is open.
	s.set("sb-1", a, publicPolicy, limits(0, 0, 0, 1))
	begun := time.Now()
	ended(t, slot)
	if closed := s.event("closed"); closed["reason"] != "idle" || time.Since(begun) < 500*time.Millisecond {
		t.Errorf("%v after %v", closed, time.Since(begun))
	}
}

func TestAConnectionOnWhichSomethingComesDoesNotEnd(t *testing.T) {
	s := startGateway(t)
	echo(t, "203.0.113.7:443")
	a := startAgent(t)
	s.set("sb-1", a, publicPolicy, limits(0, 0, 0, 1))
	slot := a.must("203.0.113.7", 443)
	for begun := time.Now(); time.Since(begun) < 1500*time.Millisecond; {
		exchange(t, slot, "hello")
	}
}

// TestAFloodOfOneSandboxDoesNotSlowAnother: one asks as fast as it can, on every slot, for what it may not have.
func TestAFloodOfOneSandboxDoesNotSlowAnother(t *testing.T) {
	s := startGateway(t)
	echo(t, "203.0.113.7:443")
	flooding, calm := s.sandboxOf("sb-flood", allowAPI), s.sandboxOf("sb-calm", publicPolicy)
	stop := make(chan struct{})
	stopped := make(chan int)
	begun := time.Now()
	for range 16 {
		go func() {
			count := 0
			for {
				select {
				case <-stop:
					stopped <- count
					return
				case slot := <-flooding.slots:
					if egresswire.Write(slot, resolveRequest("evil.test")) == nil {
						if _, err := egresswire.ReadAnswer(slot); err == nil {
							count++
							flooding.slots <- slot
							continue
						}
					}
					_ = slot.Close()
				}
			}
		}()
	}
	var slowest time.Duration
	for range 100 {
		at := time.Now()
		slot := calm.must("203.0.113.7", 443)
		exchange(t, slot, "hello")
		slowest = max(slowest, time.Since(at))
		_ = slot.Close()
	}
	close(stop)
	answered := 0
	for range 16 {
		answered += <-stopped
	}
	// The limiter counts a moment twice here and there where many ask at once.
	if most := (maxRequests + int(maxRequests*time.Since(begun).Seconds())) * 11 / 10; answered > most {
		t.Errorf("%d of the flood were answered in %v, %d may be", answered, time.Since(begun), most)
	}
	if slowest > time.Second {
		t.Errorf("beside the flood a connection took %v", slowest)
	}
}
