package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func clientOf(t *testing.T, known ...string) *Client {
	t.Helper()
	client, err := NewClient(Networks{Resolvers: []string{"203.0.113.53:53"}}, known)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestTheServerAsksWhatItIsToldUnlessItIsInternal(t *testing.T) {
	far := echo(t, "203.0.113.7:443")
	serveNames(t, zone{
		"registry.example": addressesOf(60, "203.0.113.7"),
		"both.example":     addressesOf(60, "127.0.0.1", "203.0.113.7"),
		"inner.example":    addressesOf(60, "127.0.0.1"),
		"mapped.example":   addressesOf(60, "::ffff:127.0.0.1"),
		"cloud.example":    addressesOf(60, "169.254.169.254"),
		"own.example":      addressesOf(60, hostAddress),
	})
	client := clientOf(t)
	for _, authority := range []string{"registry.example:443", "REGISTRY.example.:443", "both.example:443", "203.0.113.7:443"} {
		conn, err := client.Dial(context.Background(), authority)
		if err != nil {
			t.Errorf("%s: %v", authority, err)
			continue
		}
		greet(t, conn)
		if err := client.Decide(context.Background(), authority); err != nil {
			t.Errorf("%s: %v", authority, err)
		}
	}
	if far.count() != 4 {
		t.Errorf("%d connections came", far.count())
	}
	inner := listenHere(t, "127.0.0.1:443")
	for _, authority := range []string{
		"inner.example:443", "mapped.example:443", "cloud.example:443", "own.example:443", "127.0.0.1:443", "[::1]:443", "[::ffff:127.0.0.1]:443",
		"[64:ff9b::7f00:1]:443", hostAddress + ":443", "169.254.169.254:443",
	} {
		if _, err := client.Dial(context.Background(), authority); !errors.Is(err, ErrInternal) {
			t.Errorf("%s: %v", authority, err)
		}
		if err := client.Decide(context.Background(), authority); !errors.Is(err, ErrInternal) {
			t.Errorf("%s: %v", authority, err)
		}
	}
	for _, authority := range []string{"nowhere.example:443", "localhost:443", "2130706433:443", "0x7f000001:443", "127.1:443", "registry.example", "registry.example:0", "a b:443"} {
		if _, err := client.Dial(context.Background(), authority); err == nil {
			t.Errorf("%s was dialled", authority)
		}
	}
	if inner.Load() != 0 {
		t.Errorf("%d connections came to this host", inner.Load())
	}
}

func TestANameOfARegistryThatChangesIsJudgedByWhatIsDialled(t *testing.T) {
	var asked atomic.Int64
	inner := listenHere(t, "127.0.0.1:443")
	serveNames(t, zone{"rebind.example": func(question dnsmessage.Question, builder *dnsmessage.Builder) error {
		if asked.Add(1) <= 2 {
			return addressesOf(0, "203.0.113.7")(question, builder)
		}
		return addressesOf(0, "127.0.0.1")(question, builder)
	}})
	client := clientOf(t)
	if err := client.Decide(context.Background(), "rebind.example:443"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Dial(context.Background(), "rebind.example:443"); !errors.Is(err, ErrInternal) {
		t.Error(err)
	}
	if inner.Load() != 0 {
		t.Error("it reached this host")
	}
}

func TestAHostThatTheOperatorNamedMayBeAnywhereAtItsPortAlone(t *testing.T) {
	listenHere(t, "127.0.0.1:5000")
	listenHere(t, "127.0.0.1:5001")
	client := clientOf(t, "127.0.0.1:5000", "Registry.Lan:443")
	if conn, err := client.Dial(context.Background(), "127.0.0.1:5000"); err != nil {
		t.Error(err)
	} else {
		greet(t, conn)
	}
	if _, err := client.Dial(context.Background(), "127.0.0.1:5001"); !errors.Is(err, ErrInternal) {
		t.Error(err)
	}
	if !client.knows("registry.lan", 443) || client.knows("registry.lan", 80) {
		t.Error("a name is known by its spelling, or by another port")
	}
	for _, wrong := range []string{"registry.lan", "a b:443", ":443", "registry.lan:65536"} {
		if _, err := NewClient(Networks{}, []string{wrong}); err == nil {
			t.Errorf("%q is known", wrong)
		}
	}
}

// greet says something to an echo and hears it, and with it that the connection was counted.
func greet(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Error(err)
	}
}

// listenHere counts what comes to this host.
func listenHere(t *testing.T, address string) *atomic.Int64 {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	count := &atomic.Int64{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return count
}
