package outbound

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"stacyvm/native/internal/egresswire"
)

// resolving is a gateway that answers lookups by the name's first label, and counts them.
func resolving(asked *atomic.Int64) func(egresswire.Request, *net.UnixConn) {
	return func(request egresswire.Request, slot *net.UnixConn) {
		if asked != nil {
			asked.Add(1)
		}
		switch first, _, _ := strings.Cut(request.Host, "."); first {
		case egresswire.Denied, egresswire.UnknownHost, egresswire.NoAddress, egresswire.Unavailable, egresswire.Limit:
			say(slot, egresswire.Answer{Error: first})
		case "broken":
			_, _ = slot.Write([]byte{0, 3, 'n', 'o', '!'})
		default:
			say(slot, egresswire.Answer{OK: true, TTL: 3600})
		}
	}
}

// question packs a query.
func question(t testing.TB, name string, of dnsmessage.Type) []byte {
	t.Helper()
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 4711, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: of, Class: dnsmessage.ClassINET}},
	}
	packed, err := message.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// alone is a network without a device, for messages.
func alone(t testing.TB, serve func(egresswire.Request, *net.UnixConn)) *network {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: t.TempDir() + "/egress.sock"})
	if err != nil {
		t.Fatal(err)
	}
	door := Open(listener, func() {})
	t.Cleanup(door.Close)
	newGateway(t, listener.Addr().String(), 4, serve)
	return newNetwork(nil, door.slots, func() {})
}

func (n *network) said(t testing.TB, message []byte) dnsmessage.Message {
	t.Helper()
	var answer dnsmessage.Message
	if err := answer.Unpack(n.answer(message, plainBytes)); err != nil {
		t.Fatal(err)
	}
	if answer.ID != 4711 || !answer.Response || !answer.RecursionAvailable {
		t.Errorf("%+v", answer.Header)
	}
	return answer
}

func TestEachAnswerOfTheGatewayHasItsCode(t *testing.T) {
	n := alone(t, resolving(nil))
	for first, want := range map[string]dnsmessage.RCode{
		egresswire.Denied: dnsmessage.RCodeRefused, egresswire.Limit: dnsmessage.RCodeRefused, egresswire.UnknownHost: dnsmessage.RCodeNameError,
		egresswire.NoAddress: dnsmessage.RCodeSuccess, egresswire.Unavailable: dnsmessage.RCodeServerFailure, "broken": dnsmessage.RCodeServerFailure,
		"other": dnsmessage.RCodeSuccess,
	} {
		for _, of := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeHTTPS, dnsmessage.TypeSVCB} {
			answer := n.said(t, question(t, first+".example.com.", of))
			wantRecords := 0
			if first == "other" && of == dnsmessage.TypeA {
				wantRecords = 1
			}
			if answer.RCode != want || len(answer.Answers) != wantRecords {
				t.Errorf("%s %s: %v with %d records, want %v", first, of, answer.RCode, len(answer.Answers), want)
			}
			if wantRecords == 1 && answer.Answers[0].Header.TTL != answerTTL {
				t.Errorf("to be kept for %d s", answer.Answers[0].Header.TTL)
			}
		}
	}
}

func TestNamesAreComparedAsDNSDoesAndOthersAreRefused(t *testing.T) {
	var asked atomic.Int64
	n := alone(t, resolving(&asked))
	first := n.said(t, question(t, "api.example.com.", dnsmessage.TypeA))
	second := n.said(t, question(t, "API.Example.com.", dnsmessage.TypeA))
	if first.Answers[0].Body.GoString() != second.Answers[0].Body.GoString() {
		t.Errorf("%v, %v", first.Answers[0].Body, second.Answers[0].Body)
	}
	if second.Questions[0].Name.String() != "API.Example.com." {
		t.Errorf("the question comes back as %s", second.Questions[0].Name)
	}
	before := asked.Load()
	for _, name := range []string{"a b.example.com.", "a\x00b.com.", "ä.example.com.", "*.example.com.", "a/b.", "."} {
		if got := n.said(t, question(t, name, dnsmessage.TypeA)); got.RCode != dnsmessage.RCodeRefused {
			t.Errorf("%q: %v", name, got.RCode)
		}
	}
	for _, name := range []string{"localhost.", "app.localhost."} {
		if got := n.said(t, question(t, name, dnsmessage.TypeA)); len(got.Answers) != 1 || got.Answers[0].Body.(*dnsmessage.AResource).A != [4]byte{127, 0, 0, 1} {
			t.Errorf("%q: %+v", name, got)
		}
	}
	if asked.Load() != before {
		t.Error("the gateway was asked")
	}
}

func TestAddressesLeadBackToTheirNames(t *testing.T) {
	n := alone(t, resolving(nil))
	for range 2 {
		n.said(t, question(t, "api.example.com.", dnsmessage.TypeA))
		n.said(t, question(t, "www.example.com.", dnsmessage.TypeA))
	}
	for name, want := range map[string]string{
		"0.1.18.198.in-addr.arpa.": "api.example.com.", "1.1.18.198.in-addr.arpa.": "www.example.com.", "2.1.18.198.in-addr.arpa.": "",
		"1.0.18.198.in-addr.arpa.": "", "7.113.0.203.in-addr.arpa.": "", "1.18.198.in-addr.arpa.": "", "x.1.18.198.in-addr.arpa.": "",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.": "",
	} {
		answer := n.said(t, question(t, name, dnsmessage.TypePTR))
		if want == "" {
			if answer.RCode != dnsmessage.RCodeNameError {
				t.Errorf("%s: %v", name, answer.RCode)
			}
			continue
		}
		if len(answer.Answers) != 1 || answer.Answers[0].Body.(*dnsmessage.PTRResource).PTR.String() != want {
			t.Errorf("%s: %+v", name, answer.Answers)
		}
	}
}

func TestNamesBeyondTheBoundAreRefusedAndTheOthersStay(t *testing.T) {
	n := alone(t, resolving(nil))
	for i := range namesMax {
		if _, ok := n.names.address(fmt.Sprintf("n%d.example.com", i)); !ok {
			t.Fatalf("name %d is refused", i)
		}
	}
	if got := n.said(t, question(t, "more.example.com.", dnsmessage.TypeA)); got.RCode != dnsmessage.RCodeRefused || len(got.Answers) > 0 {
		t.Errorf("%+v", got)
	}
	last := n.said(t, question(t, fmt.Sprintf("n%d.example.com.", namesMax-1), dnsmessage.TypeA))
	if got := last.Answers[0].Body.(*dnsmessage.AResource).A; got != [4]byte{198, 19, 0, 255} {
		t.Errorf("the last name's address is %v", got)
	}
}

func (l *lookups) sharers(name string) int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.of[name].sharers
}

func TestALookupOfSeveralTypesAsksTheGatewayOnce(t *testing.T) {
	var asked atomic.Int64
	waiting := make(chan struct{})
	n := alone(t, func(request egresswire.Request, slot *net.UnixConn) {
		asked.Add(1)
		<-waiting
		say(slot, egresswire.Answer{OK: true})
	})
	var all sync.WaitGroup
	all.Go(func() { n.said(t, question(t, "api.example.com.", dnsmessage.TypeA)) })
	eventually(t, "the gateway is asked", func() bool { return asked.Load() == 1 })
	for range 5 {
		all.Go(func() { n.said(t, question(t, "api.example.com.", dnsmessage.TypeAAAA)) })
	}
	eventually(t, "all wait", func() bool { return n.asking.sharers("api.example.com") == 5 })
	close(waiting)
	all.Wait()
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
}

func TestOtherTypesArePassedOnAndTheAnswerMustFit(t *testing.T) {
	reply := func(message []byte, change func(*dnsmessage.Message)) string {
		var m dnsmessage.Message
		if err := m.Unpack(message); err != nil {
			t.Fatal(err)
		}
		m.Response, m.RecursionAvailable, m.ID = true, true, 1
		change(&m)
		packed, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(packed)
	}
	text := func(m *dnsmessage.Message, of string, count int) {
		for range count {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET}, Body: &dnsmessage.TXTResource{TXT: []string{of}},
			})
		}
	}
	n := alone(t, func(request egresswire.Request, slot *net.UnixConn) {
		message, _ := base64.StdEncoding.DecodeString(request.Message)
		answer := egresswire.Answer{OK: true}
		switch {
		case strings.Contains(string(message), "other"):
			answer.Message = reply(message, func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("example.net.") })
		case strings.Contains(string(message), "cut"):
			answer.Message = reply(message, func(m *dnsmessage.Message) { text(m, "hello", 1) })
			answer.Message = answer.Message[:len(answer.Message)-8]
		case strings.Contains(string(message), "query"):
			answer.Message = reply(message, func(m *dnsmessage.Message) { m.Response = false })
		case strings.Contains(string(message), "nobody"):
			answer.Message = "%"
		case strings.Contains(string(message), "long"):
			answer.Message = reply(message, func(m *dnsmessage.Message) { text(m, strings.Repeat("x", 200), 5) })
		default:
			answer.Message = reply(message, func(m *dnsmessage.Message) { text(m, "hello", 1) })
		}
		say(slot, answer)
	})
	if got := n.said(t, question(t, "example.com.", dnsmessage.TypeTXT)); len(got.Answers) != 1 || got.Truncated {
		t.Errorf("%+v", got)
	}
	for _, name := range []string{"other.", "cut.", "query.", "nobody."} {
		if got := n.said(t, question(t, name, dnsmessage.TypeTXT)); got.RCode != dnsmessage.RCodeServerFailure {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := n.said(t, question(t, "long.", dnsmessage.TypeTXT)); !got.Truncated || len(got.Answers) > 0 {
		t.Errorf("%+v", got)
	}
	for _, of := range []dnsmessage.Type{dnsmessage.TypeAXFR, typeIXFR, typeANY} {
		if got := n.said(t, question(t, "example.com.", of)); got.RCode != dnsmessage.RCodeNotImplemented {
			t.Errorf("%s: %v", of, got.RCode)
		}
	}
}

func TestMalformedQueriesAreToldSoAndAnswersGetNone(t *testing.T) {
	n := alone(t, resolving(nil))
	good := question(t, "api.example.com.", dnsmessage.TypeA)
	with := func(change func([]byte)) []byte {
		message := slices.Clone(good)
		change(message)
		return message
	}
	for what, message := range map[string][]byte{
		"nothing": nil, "half a header": good[:8], "an answer": with(func(m []byte) { m[2] |= 1 << 7 }),
	} {
		if got := n.answer(message, plainBytes); got != nil {
			t.Errorf("%s: %x", what, got)
		}
	}
	for what, want := range map[string]struct {
		message []byte
		code    dnsmessage.RCode
	}{
		"no question":        {good[:12], dnsmessage.RCodeFormatError},
		"half a question":    {good[:20], dnsmessage.RCodeFormatError},
		"two questions":      {with(func(m []byte) { m[5] = 2 }), dnsmessage.RCodeFormatError},
		"an answer is amiss": {with(func(m []byte) { m[7] = 9 }), dnsmessage.RCodeFormatError},
		"more is amiss":      {with(func(m []byte) { m[11] = 1 }), dnsmessage.RCodeFormatError},
		"a notification":     {with(func(m []byte) { m[2] |= 4 << 3 }), dnsmessage.RCodeNotImplemented},
		"another class":      {with(func(m []byte) { m[len(m)-1] = 3 }), dnsmessage.RCodeRefused},
		"too long":           {append(slices.Clone(good), make([]byte, queryBytesMax)...), dnsmessage.RCodeFormatError},
	} {
		var answer dnsmessage.Message
		if err := answer.Unpack(n.answer(want.message, plainBytes)); err != nil || answer.RCode != want.code || answer.ID != 4711 {
			t.Errorf("%s: %v %v", what, answer.RCode, err)
		}
	}
}

func TestTheResolverAnswersOnEveryAddressOverBothTransports(t *testing.T) {
	s, _, path := newSandbox(t)
	newGateway(t, path, 2, resolving(nil))
	for _, network := range []string{"udp", "tcp"} {
		for _, at := range []string{"198.18.0.2:53", "8.8.8.8:53", "10.0.0.1:53"} {
			got, err := s.resolver(network, at).LookupHost(t.Context(), "api.example.com.")
			if err != nil || !slices.Equal(got, []string{"198.18.1.0"}) {
				t.Errorf("%s %s: %v %v", network, at, got, err)
			}
		}
	}
	var failure *net.DNSError
	if _, err := s.lookup("unknown_host.example.com"); !errors.As(err, &failure) || !failure.IsNotFound {
		t.Errorf("%v", err)
	}
}

func TestAResolverWithoutAGatewayFailsSoon(t *testing.T) {
	s, _, _ := newSandbox(t)
	var conn net.Conn
	s.do(func() { conn, _ = net.Dial("udp", "198.18.0.2:53") })
	defer conn.Close()
	if _, err := conn.Write(question(t, "api.example.com.", dnsmessage.TypeA)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(deadline(4 * time.Second))
	answer := make([]byte, 512)
	n, err := conn.Read(answer)
	if err != nil || binary.BigEndian.Uint16(answer[2:])&0xf != uint16(dnsmessage.RCodeServerFailure) {
		t.Errorf("%x, %v", answer[:n], err)
	}
}

func FuzzDNS(f *testing.F) {
	for _, of := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypePTR, dnsmessage.TypeTXT, typeANY} {
		for _, name := range []string{"api.example.com.", "0.1.18.198.in-addr.arpa.", "localhost.", "unknown_host."} {
			f.Add(question(f, name, of))
		}
	}
	withEDNS := question(f, "api.example.com.", dnsmessage.TypeA)
	withEDNS[11] = 1
	f.Add(append(withEDNS, 0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0))
	n := alone(f, func(request egresswire.Request, slot *net.UnixConn) {
		if request.Open == egresswire.OpenDNS {
			say(slot, egresswire.Answer{OK: true, Message: request.Message})
			return
		}
		resolving(nil)(request, slot)
	})
	f.Fuzz(func(t *testing.T, message []byte) {
		limit := datagramBytes(message)
		answer := n.answer(message, limit)
		if answer == nil {
			return
		}
		if len(answer) > limit {
			t.Errorf("%d bytes where %d are taken", len(answer), limit)
		}
		var parser dnsmessage.Parser
		header, err := parser.Start(answer)
		if err != nil || !header.Response || header.ID != binary.BigEndian.Uint16(message) {
			t.Errorf("%+v %v", header, err)
		}
	})
}
