package egresswire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// tunnelled returns the slots at both ends of a connection, and the connection's own ends.
func tunnelled(t *testing.T) (gateway, agent *net.UnixConn, ends [2]*net.UnixConn) {
	t.Helper()
	one, other := pair(t)
	gateway, err := Tunnel(one)
	if err != nil {
		t.Fatal(err)
	}
	if agent, err = Tunnel(other); err != nil {
		t.Fatal(err)
	}
	for _, slot := range []*net.UnixConn{gateway, agent} {
		_ = slot.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { _ = slot.Close() })
	}
	return gateway, agent, [2]*net.UnixConn{one, other}
}

func TestATunnelCarriesBothWaysWhateverIsSentAndEndsWithBothEnds(t *testing.T) {
	gateway, agent, ends := tunnelled(t)
	var done sync.WaitGroup
	for _, way := range [][2]*net.UnixConn{{gateway, agent}, {agent, gateway}} {
		sent := make([]byte, 1<<20+rand.IntN(1<<20))
		for i := range sent {
			sent[i] = byte(rand.Uint32())
		}
		done.Go(func() {
			for rest := sent; len(rest) > 0; {
				n, err := way[0].Write(rest[:min(len(rest), 1+rand.IntN(100_000))])
				if err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
			}
			if err := way[0].CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		done.Go(func() {
			got, err := io.ReadAll(way[1])
			if err != nil || !bytes.Equal(got, sent) {
				t.Errorf("%d bytes of %d, %v", len(got), len(sent), err)
			}
		})
	}
	done.Wait()
	for _, end := range ends {
		for deadline := time.Now().Add(20 * time.Second); end.SetDeadline(time.Now()) == nil; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatal("a connection is open whose tunnel has ended")
			}
		}
	}
}

func TestATunnelsEndIsNoResetAndAResetNoEnd(t *testing.T) {
	gateway, agent, _ := tunnelled(t)
	if _, err := gateway.Write([]byte("all")); err != nil {
		t.Fatal(err)
	}
	_ = gateway.CloseWrite()
	if got, err := io.ReadAll(agent); string(got) != "all" || err != nil || HungUp(agent) {
		t.Fatalf("%q, %v; hung up: %t", got, err, HungUp(agent))
	}
	// The other direction goes on.
	if _, err := agent.Write([]byte("still")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(gateway, got); err != nil || string(got) != "still" {
		t.Fatalf("%q, %v", got, err)
	}

	gateway, agent, _ = tunnelled(t)
	if _, err := gateway.Write([]byte("cut")); err != nil {
		t.Fatal(err)
	}
	_ = gateway.Close()
	if got, err := io.ReadAll(agent); string(got) != "cut" || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("%q, %v", got, err)
	}
	WaitHangup(agent)
}

func TestAResetAfterOnesOwnEndIsSeen(t *testing.T) {
	gateway, agent, _ := tunnelled(t)
	_ = agent.CloseWrite()
	if _, err := gateway.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	_ = gateway.Close()
	if _, err := agent.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	WaitHangup(agent)
}

func TestAProgramThatGoesAwayAfterItsEndIsSeenThoughNothingIsSent(t *testing.T) {
	gateway, agent, _ := tunnelled(t)
	_ = agent.CloseWrite()
	if _, err := gateway.Read(make([]byte, 1)); err != io.EOF || HungUp(gateway) {
		t.Fatal(err)
	}
	_ = agent.Close()
	WaitHangup(gateway)
}

func TestAConnectionThatIsLostOrSpeaksNoChunksResetsTheSlot(t *testing.T) {
	for name, sent := range map[string][]byte{
		"nothing": {}, "half a length": {0}, "half a chunk": {0, 4, 'a', 'b'}, "a chunk that is too long": {0xff, 0xff},
	} {
		one, other := pair(t)
		slot, err := Tunnel(one)
		if err != nil {
			t.Fatal(err)
		}
		_ = slot.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := other.Write(sent); err != nil {
			t.Fatal(err)
		}
		if name != "a chunk that is too long" {
			_ = other.Close()
		}
		if got, err := io.ReadAll(slot); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		WaitHangup(slot)
		_ = slot.Close()
	}
}
