package outbound

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/egresswire"
	"stacyvm/native/internal/netdevice"
)

func TestAThousandConnectionsOneAfterAnotherLeaveNothing(t *testing.T) {
	s, door, path := newSandbox(t)
	newGateway(t, path, 8, echo)
	round := func() {
		conn := s.mustDial("203.0.113.7:80")
		if _, err := conn.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); string(got) != "ping" || err != nil {
			t.Fatalf("%q %v", got, err)
		}
		conn.Close()
	}
	round()
	before := runtime.NumGoroutine()
	for range 1000 {
		round()
	}
	eventually(t, "goroutines and slots are as before", func() bool {
		return runtime.NumGoroutine() <= before+8 && door.network.Load().flows.Load() == 0
	})
}

func TestTwoHundredConnectionsAtOnceCarryTheirOwn(t *testing.T) {
	s, _, path := newSandbox(t)
	newGateway(t, path, 8, echo)
	var all sync.WaitGroup
	for range 200 {
		conn := s.mustDial("203.0.113.7:80") // all of them are open
		all.Go(func() {
			data := make([]byte, 200_000)
			_, _ = rand.Read(data)
			var back []byte
			var reading sync.WaitGroup
			reading.Go(func() { back, _ = io.ReadAll(conn) })
			_, err := conn.Write(data)
			err = errors.Join(err, conn.CloseWrite())
			reading.Wait()
			if err != nil || !bytes.Equal(back, data) {
				t.Errorf("%d of %d bytes came back, %v", len(back), len(data), err)
			}
		})
	}
	all.Wait()
}

// The other side takes nothing more until what it sends is taken: each direction goes on by itself.
func TestALargeTransferGoesBothWaysAtOnce(t *testing.T) {
	s, _, path := newSandbox(t)
	newGateway(t, path, 2, echo)
	conn := s.mustDial("203.0.113.7:80")
	const size = 128 << 20
	sent, back := sha256.New(), sha256.New()
	var reading sync.WaitGroup
	reading.Go(func() {
		if n, err := io.Copy(back, conn); n != size || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
	piece := make([]byte, 1<<20)
	for range size / len(piece) {
		_, _ = rand.Read(piece[:4096])
		sent.Write(piece)
		if _, err := conn.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.CloseWrite()
	reading.Wait()
	if !bytes.Equal(sent.Sum(nil), back.Sum(nil)) {
		t.Error("something else came back")
	}
}

func TestWhatTheOtherSideDoesNotTakeIsHeldUpWithinBounds(t *testing.T) {
	s, _, path := newSandbox(t)
	hold := make(chan struct{})
	newGateway(t, path, 2, func(_ egresswire.Request, slot *net.UnixConn) {
		say(slot, egresswire.Answer{OK: true})
		<-hold
	})
	t.Cleanup(func() { close(hold) })
	conn := s.mustDial("203.0.113.7:80")
	if err := conn.SetWriteBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	eventually(t, "nothing more is taken", func() bool {
		full := false
		err := raw.Control(func(fd uintptr) {
			n, err := unix.Write(int(fd), make([]byte, 64<<10))
			taken += max(n, 0)
			queued, ioctlErr := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
			// What is queued isn't acknowledged: the agent's window is closed.
			full = err == unix.EAGAIN && ioctlErr == nil && queued > 0 && taken > bufferBytesMax/4
		})
		return err != nil || full
	})
	if limit := 4 * bufferBytesMax; taken > limit {
		t.Errorf("%d bytes are held, more than %d", taken, limit)
	}
}

func TestSlotsThatMisbehaveCostTheirConnectionAlone(t *testing.T) {
	s, door, path := newSandbox(t)
	for what, write := range map[string]string{
		"speaks unasked":      "F\x00\x0b{\"ok\":true}",
		"is no slot":          "X",
		"has no first byte":   "",
		"offers no device":    "T",
		"ends as it is asked": "F",
	} {
		conn := dialDoor(t, path)
		if _, err := conn.Write([]byte(write)); err != nil {
			t.Fatal(what, err)
		}
		if write == "F" {
			go func() {
				_, _ = conn.Read(make([]byte, 1024))
				conn.Close()
			}()
		} else {
			defer conn.Close()
		}
	}
	eventually(t, "both slots wait", func() bool { return count(door.slots) == 2 })
	newGateway(t, path, 1, echo)
	good := s.mustDial("203.0.113.7:80")
	if _, err := good.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := good.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}

	for what, answer := range map[string]string{
		"no JSON":           "\x00\x02{}x",
		"neither":           "\x00\x02{}",
		"both":              "\x00\x1c{\"ok\":true,\"error\":\"denied\"}",
		"longer than any":   "\xff\xff",
		"half":              "\x00\x0b{\"ok\"",
		"another's answer":  "\x00\x02[]",
		"an unknown error":  "\x00\x0d{\"error\":\"x\"}\x00",
		"a number too many": "\x00\x1c{\"ok\":true,\"ttl\":4294967296}",
	} {
		s, _, path := newSandbox(t)
		newGateway(t, path, 1, func(_ egresswire.Request, slot *net.UnixConn) {
			_, _ = slot.Write([]byte(answer))
			_ = slot.CloseWrite()
		})
		if _, err := s.dial("203.0.113.7:80"); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTheDeviceIsTakenOnceAndMustBeOne(t *testing.T) {
	refused := func(path string, fd int) {
		conn := dialDoor(t, path)
		defer conn.Close()
		if _, _, err := conn.WriteMsgUnix([]byte{egresswire.KindTun}, unix.UnixRights(fd), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
	}
	s, door, path := newSandbox(t)
	first := door.network.Load()
	refused(path, s.fd)
	if door.network.Load() != first {
		t.Error("the device was replaced")
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: t.TempDir() + "/egress.sock"})
	if err != nil {
		t.Fatal(err)
	}
	other := Open(listener, func() {})
	defer other.Close()
	for _, name := range []string{"/dev/null", netdevice.Path} { // the latter is no device yet
		fd, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		refused(listener.Addr().String(), fd)
		unix.Close(fd)
		if other.network.Load() != nil {
			t.Errorf("%s is taken for a device", name)
		}
	}
	s.do(func() {
		tap, err := unix.Open(netdevice.Path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(tap)
		request, _ := unix.NewIfreq("tap0")
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(tap, unix.TUNSETIFF, request); err != nil {
			t.Error(err)
		}
		refused(listener.Addr().String(), tap)
	})
	if other.network.Load() != nil {
		t.Error("a device of Ethernet frames is taken")
	}
}

func TestOtherTrafficGetsNothingButPortUnreachable(t *testing.T) {
	s, door, path := newSandbox(t)
	newGateway(t, path, 2, func(request egresswire.Request, slot *net.UnixConn) {
		t.Errorf("asked for %+v", request)
		echo(request, slot)
	})
	var conn net.Conn
	s.do(func() { conn, _ = net.Dial("udp", "203.0.113.7:443") })
	defer conn.Close()
	_ = conn.SetDeadline(deadline(patience))
	for range 3 {
		if _, err := conn.Write([]byte(strings.Repeat("x", 1000))); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("UDP: %v", err)
		}
	}
	// As root of the namespace; sandboxes can't even ask. The datagram's error comes back, so what was sent before has been seen.
	s.do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience.Seconds())})
		echo := []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}
		if err := unix.Sendto(fd, echo, 0, &unix.SockaddrInet4{Addr: [4]byte{203, 0, 113, 7}}); err != nil {
			t.Error(err)
		}
		_, _ = conn.Write([]byte("x"))
		packet := make([]byte, 1500)
		n, _, err := unix.Recvfrom(fd, packet, 0)
		if err != nil || packet[20] != 3 || packet[21] != 3 {
			t.Errorf("%x, %v", packet[:n], err)
		}
	})
	if door.network.Load().stack != nil {
		t.Error("something reached the stack")
	}
}

func count(s *slots) int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.waiting)
}
