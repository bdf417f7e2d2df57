package resolve

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func query(t testing.TB, name string, kind dnsmessage.Type, change func(*dnsmessage.Message)) []byte {
	t.Helper()
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 4711, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	if change != nil {
		change(&message)
	}
	packed, err := message.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestQueriesThatAreNoneAreRefused(t *testing.T) {
	for name, message := range map[string][]byte{
		"nothing":      {},
		"A":            query(t, "a.test.", dnsmessage.TypeA, nil),
		"AAAA":         query(t, "a.test.", dnsmessage.TypeAAAA, nil),
		"HTTPS":        query(t, "a.test.", dnsmessage.TypeHTTPS, nil),
		"SVCB":         query(t, "a.test.", 64, nil),
		"PTR":          query(t, "7.113.0.203.in-addr.arpa.", dnsmessage.TypePTR, nil),
		"ANY":          query(t, "a.test.", dnsmessage.TypeALL, nil),
		"a transfer":   query(t, "a.test.", dnsmessage.TypeAXFR, nil),
		"another one":  query(t, "a.test.", 251, nil),
		"the root":     query(t, ".", dnsmessage.TypeNS, nil),
		"a space":      query(t, "a b.test.", dnsmessage.TypeTXT, nil),
		"an answer":    query(t, "a.test.", dnsmessage.TypeTXT, func(m *dnsmessage.Message) { m.Response = true }),
		"an update":    query(t, "a.test.", dnsmessage.TypeTXT, func(m *dnsmessage.Message) { m.OpCode = 5 }),
		"class CHAOS":  query(t, "a.test.", dnsmessage.TypeTXT, func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS }),
		"two at once":  query(t, "a.test.", dnsmessage.TypeTXT, func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }),
		"no questions": query(t, "a.test.", dnsmessage.TypeTXT, func(m *dnsmessage.Message) { m.Questions = nil }),
	} {
		if got, err := ReadQuery(message); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAQueryIsForwardedUnderItsOwnId(t *testing.T) {
	r := startResolver(t, func(a asked) [][]byte { return [][]byte{reply(a, nil, "a.test TXT text")} })
	read, err := ReadQuery(query(t, "A.test.", dnsmessage.TypeTXT, nil))
	if err != nil || read.Name != "a.test" {
		t.Fatal(read, err)
	}
	answer, err := NewClient([]netip.AddrPort{r.at}).Forward(context.Background(), read)
	if err != nil {
		t.Fatal(err)
	}
	var message dnsmessage.Message
	if err := message.Unpack(answer); err != nil || message.ID != 4711 || len(message.Answers) != 1 || message.Questions[0].Name.String() != "A.test." {
		t.Errorf("%v, %v", message, err)
	}
	if seen := r.all(); len(seen) != 1 || seen[0].id == 4711 {
		t.Errorf("the resolver saw %+v", seen)
	}
}

func TestAnAnswerThatFitsNoFrameIsToldToBeTruncated(t *testing.T) {
	long := strings.Repeat("x", 200)
	records := make([]string, 60)
	for i := range records {
		records[i] = "a.test TXT " + long
	}
	r := startResolver(t, func(a asked) [][]byte {
		if a.overTCP {
			return [][]byte{reply(a, nil, records...)}
		}
		return [][]byte{reply(a, func(m *dnsmessage.Message) { m.Truncated = true })}
	})
	read, err := ReadQuery(query(t, "a.test.", dnsmessage.TypeTXT, nil))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := NewClient([]netip.AddrPort{r.at}).Forward(context.Background(), read)
	var message dnsmessage.Message
	if err != nil || message.Unpack(answer) != nil || !message.Truncated || len(message.Answers) > 0 || message.ID != 4711 {
		t.Errorf("%v, %v", message, err)
	}
}

func TestAnEmptyAnswerAsksNobody(t *testing.T) {
	read, err := ReadQuery(query(t, "a.test.", dnsmessage.TypeTXT, nil))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := read.Empty()
	var message dnsmessage.Message
	if err != nil || message.Unpack(answer) != nil || !message.Response || message.ID != 4711 || message.RCode != 0 || len(message.Questions) != 1 || len(message.Answers) > 0 {
		t.Errorf("%v, %v", message, err)
	}
}

// FuzzQueries: no query makes it panic, and what is taken is a name that can be asked for again.
func FuzzQueries(f *testing.F) {
	f.Add(query(f, "a.test.", dnsmessage.TypeTXT, nil))
	f.Fuzz(func(t *testing.T, message []byte) {
		read, err := ReadQuery(message)
		if err != nil {
			return
		}
		if read.Name == "" {
			t.Error("no name")
		}
		if _, err := read.Empty(); err != nil {
			t.Error(err)
		}
		if _, _, err := pack(read.question); err != nil {
			t.Error(err)
		}
	})
}
