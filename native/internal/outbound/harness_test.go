package outbound

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/egresswire"
	"stacyvm/native/internal/netdevice"
)

// patience bounds every wait of a test.
const patience = 20 * time.Second

// sandbox is a network namespace of its own, in which do runs things.
type sandbox struct {
	t    testing.TB
	work chan func()
	fd   int // the device, beside the one that was handed over
}

// newSandbox opens a door, and hands it the device of a new network namespace.
func newSandbox(t testing.TB) (*sandbox, *Door, string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not root")
	}
	if _, err := os.Stat(netdevice.Path); err != nil {
		t.Skip(err)
	}
	s := &sandbox{t: t, work: make(chan func())}
	device, failed := make(chan int, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread, and with it the namespace, ends with the test
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			failed <- err
			return
		}
		fd, err := netdevice.Make()
		if err != nil {
			failed <- err
			return
		}
		device <- fd
		for do := range s.work {
			do()
		}
	}()
	path := filepath.Join(t.TempDir(), "egress.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	door := Open(listener, func() {})
	t.Cleanup(func() {
		door.Close()
		close(s.work)
	})
	select {
	case err := <-failed:
		t.Fatal(err)
	case fd := <-device:
		s.fd = fd
		t.Cleanup(func() { unix.Close(fd) })
		conn := dialDoor(t, path)
		if _, _, err := conn.WriteMsgUnix([]byte{egresswire.KindTun}, unix.UnixRights(fd), nil); err != nil {
			t.Fatal(err)
		}
		conn.Close()
		eventually(t, "the device arrives", func() bool { return door.network.Load() != nil })
	}
	return s, door, path
}

func dialDoor(t testing.TB, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// do runs in the namespace, one at a time; sockets made there stay usable everywhere.
func (s *sandbox) do(what func()) {
	done := make(chan struct{})
	s.work <- func() { defer close(done); what() }
	<-done
}

func (s *sandbox) dial(address string) (conn net.Conn, err error) {
	s.do(func() { conn, err = net.DialTimeout("tcp", address, patience) })
	if err == nil {
		s.t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

func (s *sandbox) mustDial(address string) *net.TCPConn {
	s.t.Helper()
	conn, err := s.dial(address)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// gateway is a stand-in for the egress gateway: it keeps slots at a door and serves each request by a function.
type gateway struct {
	t     testing.TB
	path  string
	serve func(egresswire.Request, *net.UnixConn)
	mutex sync.Mutex
	open  map[*net.UnixConn]bool
	ended bool
}

func newGateway(t testing.TB, path string, slots int, serve func(egresswire.Request, *net.UnixConn)) *gateway {
	g := &gateway{t: t, path: path, serve: serve, open: map[*net.UnixConn]bool{}}
	t.Cleanup(g.kill)
	for range slots {
		g.offer()
	}
	return g
}

// offer leaves one slot at the door; when it is taken for a connection, the next one.
func (g *gateway) offer() {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.ended {
		return
	}
	slot, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: g.path})
	if err != nil {
		g.t.Error(err)
		return
	}
	if _, err := slot.Write([]byte{egresswire.KindSlot}); err != nil {
		g.t.Error(err)
		return
	}
	g.open[slot] = true
	go func() {
		defer func() {
			g.mutex.Lock()
			delete(g.open, slot)
			g.mutex.Unlock()
			slot.Close()
		}()
		for {
			request, err := egresswire.ReadRequest(slot)
			if err != nil {
				g.offer()
				return
			}
			if request.Open == egresswire.OpenTCP {
				g.offer()
				g.serve(request, slot)
				return
			}
			g.serve(request, slot)
		}
	}()
}

// kill ends every connection at once, as when the program dies.
func (g *gateway) kill() {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.ended = true
	for slot := range g.open {
		slot.Close()
	}
}

func say(slot net.Conn, answer egresswire.Answer) { _ = egresswire.Write(slot, answer) }

// echo lets everything be resolved and opened, and sends back what it gets until the program has ended its direction.
func echo(request egresswire.Request, slot *net.UnixConn) {
	say(slot, egresswire.Answer{OK: true, TTL: 60})
	if request.Open == egresswire.OpenTCP {
		_, _ = io.Copy(slot, slot)
		_ = slot.CloseWrite()
		egresswire.WaitHangup(slot)
	}
}

// resolver is Go's own client of the sandbox's resolver, over "udp" or "tcp".
func (s *sandbox) resolver(network, address string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (conn net.Conn, err error) {
		s.do(func() { conn, err = net.DialTimeout(network, address, patience) })
		return conn, err
	}}
}

func (s *sandbox) lookup(name string) (string, error) {
	found, err := s.resolver("udp", "198.18.0.2:53").LookupHost(s.t.Context(), name+".")
	return strings.Join(found, " "), err
}

func deadline(after time.Duration) time.Time { return time.Now().Add(after) }

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for until := deadline(patience); !is(); runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
