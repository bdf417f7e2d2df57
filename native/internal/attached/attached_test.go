package attached

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// pipes stands for an engine that outlives the hosts which attach to it.
type pipes struct {
	t        *testing.T
	listener *Listener
	toAgent  *os.File
	frames   chan frame
	acks     chan string
}

type frame struct {
	kind    kind
	stream  uint32
	payload string
}

// start makes a listener and reads what it writes; a frame that is no session's ends the test.
func start(t *testing.T) *pipes {
	t.Helper()
	agentIn, toAgent, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromAgent, agentOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &pipes{t: t, toAgent: toAgent, frames: make(chan frame, 1<<16), acks: make(chan string, 16)}
	p.listener = Listen(agentIn, agentOut)
	go p.read(fromAgent)
	t.Cleanup(func() {
		_ = toAgent.Close()
		<-p.listener.Done()
		_ = agentOut.Close()
		_ = agentIn.Close()
		_ = fromAgent.Close()
	})
	return p
}

// read tells acknowledgements and frames apart as a host does that hears every session.
func (p *pipes) read(from io.Reader) {
	r := newReceiver(from)
	r.framing = true
	for {
		if err := r.fill(1); err == nil && r.buf[r.start] == agentMagic[0] {
			if err := r.fill(len(agentMagic) + 16); err != nil || !bytes.HasPrefix(r.buf[r.start:], agentMagic) {
				return
			}
			nonce := r.buf[r.start+len(agentMagic) : r.start+len(agentMagic)+16]
			r.seed = seedOf(nonce)
			p.acks <- string(nonce)
			r.start += len(agentMagic) + 16
			continue
		}
		m, err := r.frame()
		if err != nil {
			return
		}
		p.frames <- frame{m.kind, m.stream, string(m.payload)}
	}
}

func (p *pipes) write(b []byte) {
	p.t.Helper()
	if _, err := p.toAgent.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// attach returns how the new session's frames begin.
func (p *pipes) attach(nonce string) uint32 {
	p.t.Helper()
	p.write(preamble(testKey, []byte(nonce)))
	select {
	case got := <-p.acks:
		if got != nonce {
			p.t.Fatalf("acknowledged %q", got)
		}
	case <-time.After(10 * time.Second):
		p.t.Fatal("never acknowledged")
	}
	return seedOf([]byte(nonce))
}

func (p *pipes) send(seed uint32, k kind, stream uint32, payload string) {
	p.t.Helper()
	p.write(appendFrame(nil, seed, k, stream, []byte(payload)))
}

func (p *pipes) expect(want frame) {
	p.t.Helper()
	select {
	case got := <-p.frames:
		if got != want {
			p.t.Fatalf("%v %d %.100q instead of %v %d %.100q", got.kind, got.stream, got.payload, want.kind, want.stream, want.payload)
		}
	case <-time.After(10 * time.Second):
		p.t.Fatalf("never came: %v", want)
	}
}

func (p *pipes) accept() *conn {
	p.t.Helper()
	c, err := p.listener.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	return c.(*conn)
}

func (p *pipes) read1(c net.Conn, want string) {
	p.t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		p.t.Fatalf("%q %v", got, err)
	}
}

func TestAConnectionEndsByHalvesAndWholly(t *testing.T) {
	p := start(t)
	seed := p.attach("nonce number one")
	p.send(seed, kindOpen, 1, "")
	p.send(seed, kindData, 1, "question")
	c := p.accept()
	p.read1(c, "question")
	p.send(seed, kindEnd, 1, "")
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	if _, err := c.Write([]byte("answer")); err != nil {
		t.Error(err)
	}
	p.expect(frame{kindData, 1, "answer"})
	_ = c.CloseWrite()
	p.expect(frame{kindEnd, 1, ""})
	_ = c.Close()
	p.expect(frame{kindClose, 1, ""})
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestWhatArrivedBeforeTheHostWentIsStillRead(t *testing.T) {
	p := start(t)
	seed := p.attach("nonce number one")
	p.send(seed, kindOpen, 1, "")
	p.send(seed, kindData, 1, "last words")
	p.send(seed, kindClose, 1, "")
	c := p.accept()
	<-c.Gone()
	p.read1(c, "last words")
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("wrote to nobody")
	}
}

func TestANewHostEndsEveryConnectionOfTheOneBefore(t *testing.T) {
	p := start(t)
	seed := p.attach("nonce number one")
	p.send(seed, kindOpen, 1, "")
	old := p.accept()
	// The old host dies amid a frame.
	half := appendFrame(nil, seed, kindData, 1, bytes.Repeat([]byte("x"), frameBytes))
	p.write(half[:len(half)-100])
	seed = p.attach("nonce number two")
	<-old.Gone()
	if n, err := old.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("%d bytes of an unfinished frame: %v", n, err)
	}
	if _, err := old.Write([]byte("x")); err == nil {
		t.Error("wrote to nobody")
	}
	_ = old.Close()
	p.send(seed, kindOpen, 1, "")
	c := p.accept()
	_, _ = c.Write([]byte("for the new one"))
	// The old session was told that its frame was none, unless the hello came before that could be said.
	if first := <-p.frames; first.kind != kindLost {
		p.frames <- first
	}
	p.expect(frame{kindData, 1, "for the new one"})
}

func TestABrokenFrameEndsTheSessionAndSaysSo(t *testing.T) {
	for name, bad := range map[string]func(seed uint32) []byte{
		"a sum":             func(seed uint32) []byte { return appendFrame(nil, seed+1, kindPing, 0, nil) },
		"a kind":            func(seed uint32) []byte { return appendFrame(nil, seed, 9, 0, nil) },
		"a length":          func(seed uint32) []byte { return appendFrame(nil, seed, kindData, 1, make([]byte, frameBytes+1)) },
		"a stream to come":  func(seed uint32) []byte { return appendFrame(nil, seed, kindData, 2, nil) },
		"no stream":         func(seed uint32) []byte { return appendFrame(nil, seed, kindEnd, 0, nil) },
		"a stream again":    func(seed uint32) []byte { return appendFrame(nil, seed, kindOpen, 1, nil) },
		"an answer":         func(seed uint32) []byte { return appendFrame(nil, seed, kindPong, 1, nil) },
		"a short window":    func(seed uint32) []byte { return appendFrame(nil, seed, kindWindow, 1, []byte{1}) },
		"more than it took": func(seed uint32) []byte { return appendFrame(nil, seed, kindWindow, 1, []byte{0, 0, 0, 1}) },
		"data behind the end": func(seed uint32) []byte {
			return appendFrame(appendFrame(nil, seed, kindEnd, 1, nil), seed, kindData, 1, []byte("x"))
		},
		"more than the window": func(seed uint32) []byte {
			var all []byte
			for range windowBytes / frameBytes {
				all = appendFrame(all, seed, kindData, 1, make([]byte, frameBytes))
			}
			return appendFrame(all, seed, kindData, 1, []byte("x"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			seed := p.attach("nonce number one")
			p.send(seed, kindOpen, 1, "")
			c := p.accept()
			p.write(bad(seed))
			p.expect(frame{kindLost, 0, ""})
			<-c.Gone()
			seed = p.attach("nonce number two")
			p.send(seed, kindPing, 0, "")
			p.expect(frame{kindPong, 0, ""})
		})
	}
}

func TestOneConnectionTooManyIsClosedAtOnce(t *testing.T) {
	p := start(t)
	seed := p.attach("nonce number one")
	for id := range uint32(maxStreams) {
		p.send(seed, kindOpen, id+1, "")
	}
	first := p.accept()
	p.send(seed, kindOpen, maxStreams+1, "")
	p.expect(frame{kindClose, maxStreams + 1, ""})
	_ = first.Close()
	p.expect(frame{kindClose, 1, ""})
	p.send(seed, kindOpen, maxStreams+2, "")
	p.send(seed, kindPing, 0, "")
	p.expect(frame{kindPong, 0, ""})
}

func TestAReaderWhoStallsHoldsUpNobodyElse(t *testing.T) {
	p := start(t)
	seed := p.attach("nonce number one")
	p.send(seed, kindOpen, 1, "")
	p.send(seed, kindOpen, 2, "")
	stalled, other := p.accept(), p.accept()
	for range windowBytes / frameBytes {
		p.write(appendFrame(nil, seed, kindData, 1, make([]byte, frameBytes)))
	}
	// The host takes none of what the first one writes either.
	wrote := make(chan error)
	go func() {
		_, err := stalled.Write(make([]byte, windowBytes+1))
		wrote <- err
	}()
	for range windowBytes / frameBytes {
		p.expect(frame{kindData, 1, string(make([]byte, frameBytes))})
	}
	p.send(seed, kindData, 2, "hello")
	p.read1(other, "hello")
	_, _ = other.Write([]byte("world"))
	p.expect(frame{kindData, 2, "world"})
	// What is read is told once it is half of the window.
	if _, err := io.ReadFull(stalled, make([]byte, windowBytes/2)); err != nil {
		t.Fatal(err)
	}
	p.expect(frame{kindWindow, 1, string(binary.BigEndian.AppendUint32(nil, windowBytes/2))})
	p.send(seed, kindWindow, 1, "\x00\x00\x00\x01")
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	p.expect(frame{kindData, 1, "\x00"})
}

func TestDeadlinesWakeWhoWaits(t *testing.T) {
	p := start(t)
	seed := p.attach("nonce number one")
	p.send(seed, kindOpen, 1, "")
	c := p.accept()
	late := make(chan error)
	go func() {
		_, err := c.Read(make([]byte, 1))
		late <- err
	}()
	_ = c.SetReadDeadline(time.Unix(1, 0))
	if err := <-late; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	_ = c.SetReadDeadline(time.Time{})
	p.send(seed, kindData, 1, "x")
	p.read1(c, "x")
	_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond))
	if _, err := c.Write(make([]byte, windowBytes+1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	go func() {
		_, err := c.Read(make([]byte, 1))
		late <- err
	}()
	_ = c.Close()
	if err := <-late; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// Bytes of many connections at once arrive whole, each in its order, whoever waits for whom.
func TestManyConnectionsCarryTheirBytesAtOnce(t *testing.T) {
	const streams, total = 20, 1 << 20
	p := start(t)
	seed := p.attach("nonce number one")
	var writing sync.Mutex
	send := func(k kind, stream uint32, payload []byte) {
		writing.Lock()
		defer writing.Unlock()
		_, _ = p.toAgent.Write(appendFrame(nil, seed, k, stream, payload))
	}
	credits := make([]chan int, streams+1)
	var echoed, sent [streams + 1][]byte
	var hosts sync.WaitGroup
	for id := uint32(1); id <= streams; id++ {
		credits[id] = make(chan int, 1000)
		content := make([]byte, total)
		random := rand.NewChaCha8([32]byte{byte(id)})
		_, _ = random.Read(content)
		sent[id] = content
		send(kindOpen, id, nil)
		c := p.accept()
		go func() {
			_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			_ = c.CloseWrite()
		}()
		hosts.Add(1)
		go func() {
			defer hosts.Done()
			credit := windowBytes
			for rest := content; len(rest) > 0; {
				for credit == 0 {
					credit += <-credits[id]
				}
				n := min(credit, len(rest), 1+int(random.Uint64()%frameBytes))
				send(kindData, id, rest[:n])
				rest, credit = rest[n:], credit-n
			}
			send(kindEnd, id, nil)
		}()
	}
	for open := streams; open > 0; {
		switch f := <-p.frames; f.kind {
		case kindData:
			echoed[f.stream] = append(echoed[f.stream], f.payload...)
			go send(kindWindow, f.stream, binary.BigEndian.AppendUint32(nil, uint32(len(f.payload))))
		case kindWindow:
			credits[f.stream] <- int(binary.BigEndian.Uint32([]byte(f.payload)))
		case kindEnd:
			open--
		default:
			t.Fatalf("%v", f)
		}
	}
	hosts.Wait()
	for id := 1; id <= streams; id++ {
		if !bytes.Equal(echoed[id], sent[id]) {
			t.Errorf("connection %d: %d bytes came back", id, len(echoed[id]))
		}
	}
}
