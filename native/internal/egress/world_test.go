package egress

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"stacyvm/native/internal/egresswire"
)

const patience = 20 * time.Second

// server is the side of the gateway that starts it.
type server struct {
	t       testing.TB
	gateway *Gateway
	in      *io.PipeWriter
	mu      sync.Mutex
	id      int64
	lines   chan map[string]any
	events  chan map[string]any
	served  chan error
}

// startGateway starts a gateway whose resolvers are the tests', and which opens a network if one is named.
func startGateway(t testing.TB, opened ...string) *server {
	t.Helper()
	input, in := io.Pipe()
	out, output := io.Pipe()
	gateway, err := New(output)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, gateway: gateway, in: in, lines: make(chan map[string]any), events: make(chan map[string]any, 10_000), served: make(chan error, 1)}
	go func() { s.served <- gateway.Serve(input) }()
	go func() {
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, lineBytes)
		for lines.Scan() {
			var line map[string]any
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				panic(err)
			}
			if line["event"] != nil {
				s.events <- line
			} else {
				s.lines <- line
			}
		}
	}()
	t.Cleanup(func() {
		_ = in.Close()
		if err := <-s.served; err != nil {
			t.Error(err)
		}
	})
	var open []string
	for _, cidr := range opened {
		open = append(open, fmt.Sprintf(`{"cidr":%q,"ports":[]}`, cidr))
	}
	s.must(`"op":"configure","resolvers":["203.0.113.53:53"],"open":[` + strings.Join(open, ",") + `]`)
	return s
}

// do sends one line and returns its answer.
func (s *server) do(members string) map[string]any {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id++
	if _, err := fmt.Fprintf(s.in, "{\"id\":%d,%s}\n", s.id, members); err != nil {
		s.t.Fatal(err)
	}
	select {
	case line := <-s.lines:
		if line["id"] != float64(s.id) {
			s.t.Fatalf("%v answers %d", line, s.id)
		}
		return line
	case <-time.After(patience):
		s.t.Fatal("no answer")
	}
	return nil
}

func (s *server) must(members string) map[string]any {
	s.t.Helper()
	line := s.do(members)
	if line["error"] != nil {
		s.t.Fatalf("%s: %v", members, line["error"])
	}
	return line["ok"].(map[string]any)
}

// event waits for the next event of a kind and forgets those before it.
func (s *server) event(kind string) map[string]any {
	s.t.Helper()
	for {
		select {
		case event := <-s.events:
			if event["event"] == kind {
				return event
			}
		case <-time.After(patience):
			s.t.Fatalf("no event %s", kind)
		}
	}
}

// agent is the sandbox's side: it accepts slots at a door.
type agent struct {
	t        testing.TB
	path     string
	listener *net.UnixListener
	slots    chan *net.UnixConn
}

func startAgent(t testing.TB) *agent {
	t.Helper()
	path := filepath.Join(t.TempDir(), "door.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{t: t, path: path, listener: listener, slots: make(chan *net.UnixConn, 5000)}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			slot, err := listener.AcceptUnix()
			if err != nil {
				return
			}
			kind := make([]byte, 1)
			if _, err := io.ReadFull(slot, kind); err != nil || kind[0] != egresswire.KindSlot {
				_ = slot.Close()
				continue
			}
			a.slots <- slot
		}
	}()
	return a
}

// ask sends a request on a waiting slot, on the next if the gateway closed that one.
func (a *agent) ask(request egresswire.Request) (*net.UnixConn, egresswire.Answer) {
	a.t.Helper()
	for {
		var slot *net.UnixConn
		select {
		case slot = <-a.slots:
		case <-time.After(patience):
			a.t.Fatal("no slot")
		}
		if egresswire.Write(slot, request) != nil {
			_ = slot.Close()
			continue
		}
		answer, err := egresswire.ReadAnswer(slot)
		if err != nil {
			_ = slot.Close()
			continue
		}
		if request.Open == egresswire.OpenTCP && answer.OK {
			a.t.Cleanup(func() { _ = slot.Close() })
		} else if request.Open == egresswire.OpenTCP {
			_ = slot.Close()
		} else {
			a.slots <- slot
		}
		return slot, answer
	}
}

func (a *agent) connect(host string, port int) (*net.UnixConn, egresswire.Answer) {
	a.t.Helper()
	if strings.ContainsAny(host, ":") || net.ParseIP(host) != nil {
		return a.ask(egresswire.Request{Open: egresswire.OpenTCP, Address: host, Port: port})
	}
	return a.ask(egresswire.Request{Open: egresswire.OpenTCP, Host: host, Port: port})
}

// must connects and fails the test unless it may.
func (a *agent) must(host string, port int) *net.UnixConn {
	a.t.Helper()
	slot, answer := a.connect(host, port)
	if !answer.OK {
		a.t.Fatalf("%s:%d: %+v", host, port, answer)
	}
	return slot
}

const publicPolicy = `{"name":"server","mode":"public","allow":[],"deny":[]}`

// sandboxOf makes a sandbox with policies, JSON, and its agent.
func (s *server) sandboxOf(id, policies string) *agent {
	s.t.Helper()
	a := startAgent(s.t)
	s.set(id, a, policies, `{"connections":256,"connections_per_second":0,"bytes_per_second":0,"idle_seconds":0}`)
	return a
}

func (s *server) set(id string, a *agent, policies, limits string) map[string]any {
	s.t.Helper()
	return s.must(fmt.Sprintf(`"op":"set","sandbox":%q,"door":%q,"guest_made":false,"policies":[%s],"limits":%s`, id, a.path, policies, limits))
}

// echo answers what it is sent, and says how often it was connected to.
func echo(t testing.TB, address string) *counter {
	return serveOutside(t, address, func(conn *net.TCPConn) {
		_, _ = io.Copy(conn, conn)
	})
}

type counter struct {
	mu    sync.Mutex
	conns int
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conns
}

func serveOutside(t testing.TB, address string, serve func(*net.TCPConn)) *counter {
	t.Helper()
	listener := listenOutside(t, address)
	seen := &counter{}
	go func() {
		for {
			conn, err := listener.AcceptTCP()
			if err != nil {
				return
			}
			seen.mu.Lock()
			seen.conns++
			seen.mu.Unlock()
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return seen
}

// zone is a resolver's names: addresses, or anything that a handler says.
type zone map[string]func(question dnsmessage.Question, builder *dnsmessage.Builder) error

// addressesOf answers with these.
func addressesOf(ttl uint32, texts ...string) func(dnsmessage.Question, *dnsmessage.Builder) error {
	return func(question dnsmessage.Question, builder *dnsmessage.Builder) error {
		if err := builder.StartAnswers(); err != nil {
			return err
		}
		for _, text := range texts {
			if err := addAddress(builder, question.Name, question.Type, ttl, text); err != nil {
				return err
			}
		}
		return nil
	}
}

func addAddress(builder *dnsmessage.Builder, name dnsmessage.Name, kind dnsmessage.Type, ttl uint32, text string) error {
	header := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: ttl}
	address := net.ParseIP(text)
	// A spelling with colons is an AAAA, whatever it stands for.
	if isSix := strings.Contains(text, ":"); isSix != (kind == dnsmessage.TypeAAAA) {
		return nil
	} else if isSix {
		return builder.AAAAResource(header, dnsmessage.AAAAResource{AAAA: [16]byte(address.To16())})
	}
	return builder.AResource(header, dnsmessage.AResource{A: [4]byte(address.To4())})
}

// serveNames is the resolver of the tests, over UDP and TCP; names that it doesn't know don't exist.
func serveNames(t testing.TB, names zone) {
	t.Helper()
	var packets net.PacketConn
	inOutside(t, func() (err error) {
		packets, err = net.ListenPacket("udp", "203.0.113.53:53")
		return err
	})
	t.Cleanup(func() { _ = packets.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			if reply := names.reply(buffer[:n]); reply != nil {
				_, _ = packets.WriteTo(reply, from)
			}
		}
	}()
	serveOutside(t, "203.0.113.53:53", func(conn *net.TCPConn) {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, query); err != nil {
			return
		}
		reply := names.reply(query)
		_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	})
}

func (z zone) reply(query []byte) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil {
		return nil
	}
	question, err := parser.Question()
	if err != nil {
		return nil
	}
	handler := z[strings.ToLower(strings.TrimSuffix(question.Name.String(), "."))]
	reply := dnsmessage.Header{ID: header.ID, Response: true, RecursionDesired: true, RecursionAvailable: true}
	if handler == nil {
		reply.RCode = dnsmessage.RCodeNameError
	}
	builder := dnsmessage.NewBuilder(nil, reply)
	builder.EnableCompression()
	if builder.StartQuestions() != nil || builder.Question(question) != nil {
		return nil
	}
	if handler != nil && handler(question, &builder) != nil {
		return nil
	}
	message, _ := builder.Finish()
	return message
}
