package resolve

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func lookup(t *testing.T, client *Client, name string) Result {
	t.Helper()
	begun := time.Now()
	result := client.Lookup(context.Background(), name, always)
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("%s took %v", name, took)
	}
	return result
}

func TestBothFamiliesAreAnsweredAndIPv4ComesFirst(t *testing.T) {
	r := startResolver(t, func(a asked) [][]byte {
		return [][]byte{reply(a, nil, map[dnsmessage.Type]string{
			dnsmessage.TypeA: "api.test A 203.0.113.7 60", dnsmessage.TypeAAAA: "api.test AAAA 2001:db8::7 30",
		}[a.Type])}
	})
	got := lookup(t, NewClient([]netip.AddrPort{r.at}), "api.test")
	want := Result{Found, []netip.Addr{netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")}, 30 * time.Second}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestHostileAnswers: what a resolver, or somebody in its place, may say.
func TestHostileAnswers(t *testing.T) {
	chain := func(length int) []string {
		var records []string
		for i := range length {
			records = append(records, fmt.Sprintf("%s CNAME c%d.test", map[bool]string{true: "a.test", false: fmt.Sprintf("c%d.test", i-1)}[i == 0], i))
		}
		return append(records, fmt.Sprintf("c%d.test A 203.0.113.7", length-1))
	}
	many := make([]string, 200)
	for i := range many {
		many[i] = fmt.Sprintf("a.test A 203.0.113.%d", i)
	}
	flip := func(a asked) [][]byte {
		a.id ^= 1
		return [][]byte{reply(a, nil, "a.test A 10.0.0.1")}
	}
	good := "a.test A 203.0.113.7"
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		handle  func(asked) [][]byte
		outcome Outcome
		first   string
		count   int
	}{
		"an alias":                      {only("a.test CNAME b.test", "b.test A 203.0.113.7"), Found, "203.0.113.7", 1},
		"aliases in reverse":            {only("c.test A 203.0.113.7", "b.test CNAME c.test", "A.TEST CNAME B.test"), Found, "203.0.113.7", 1},
		"an alias to a private address": {only("a.test CNAME b.test", "b.test A 10.0.0.1"), Found, "10.0.0.1", 1},
		"aliases in a ring":             {only("a.test CNAME b.test", "b.test CNAME a.test"), NoAddress, "", 0},
		"a chain as long as is taken":   {only(chain(maxAliases - 1)...), Found, "203.0.113.7", 1},
		"a longer one":                  {only(chain(maxAliases)...), NoAddress, "", 0},
		"another name's address":        {only("b.test A 10.0.0.1"), NoAddress, "", 0},
		"another name's beside":         {only("b.test A 10.0.0.1", good), Found, "203.0.113.7", 1},
		"very many":                     {only(many...), Found, "203.0.113.0", maxAddresses},
		"another id, then the answer":   {func(a asked) [][]byte { return append(flip(a), only(good)(a)...) }, Found, "203.0.113.7", 1},
		"another id alone":              {flip, Unavailable, "", 0},
		"no response": {func(a asked) [][]byte {
			return [][]byte{reply(a, func(m *dnsmessage.Message) { m.Response = false }, good)}
		}, Unavailable, "", 0},
		"another question": {func(a asked) [][]byte {
			return [][]byte{reply(a, func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("b.test.") }, good)}
		}, Unavailable, "", 0},
		"another type": {func(a asked) [][]byte {
			return [][]byte{reply(a, func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeTXT }, good)}
		}, Unavailable, "", 0},
		"two questions": {func(a asked) [][]byte {
			return [][]byte{reply(a, func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }, good)}
		}, Unavailable, "", 0},
		"noise, then the answer": {func(a asked) [][]byte {
			return append([][]byte{{}, {1}, make([]byte, 4000)}, only(good)(a)...)
		}, Found, "203.0.113.7", 1},
		"an answer that ends early": {func(a asked) [][]byte {
			message := only(good)(a)[0]
			return [][]byte{message[:len(message)-1]}
		}, Unavailable, "", 0},
		"the name doesn't exist": {func(a asked) [][]byte {
			return [][]byte{reply(a, func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeNameError })}
		}, UnknownHost, "", 0},
		"a failure": {func(a asked) [][]byte {
			return [][]byte{reply(a, func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeServerFailure }, good)}
		}, Unavailable, "", 0},
		"truncated, and whole over TCP": {func(a asked) [][]byte {
			if a.overTCP {
				return only(good)(a)
			}
			return [][]byte{reply(a, func(m *dnsmessage.Message) { m.Truncated = true }, "a.test A 10.0.0.1")}
		}, Found, "203.0.113.7", 1},
		"truncated always": {func(a asked) [][]byte {
			return [][]byte{reply(a, func(m *dnsmessage.Message) { m.Truncated = true }, good)}
		}, Unavailable, "", 0},
		"huge over TCP": {func(a asked) [][]byte {
			if !a.overTCP {
				return [][]byte{reply(a, func(m *dnsmessage.Message) { m.Truncated = true })}
			}
			return [][]byte{append(only(good)(a)[0], make([]byte, messageBytes)...)}
		}, Unavailable, "", 0},
	} {
		all.Go(func() {
			r := startResolver(t, c.handle)
			got := lookup(t, NewClient([]netip.AddrPort{r.at}), "a.test")
			if got.Outcome != c.outcome || len(got.Addresses) != c.count || c.count > 0 && got.Addresses[0].String() != c.first {
				t.Errorf("%s: %+v", name, got)
			}
		})
	}
	all.Wait()
}

func TestAResolverThatIsDownIsToldWithinThreeSecondsAndAnotherOneIsAsked(t *testing.T) {
	silent := startResolver(t, func(asked) [][]byte { return nil })
	broken := startResolver(t, func(a asked) [][]byte {
		return [][]byte{reply(a, func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeRefused })}
	})
	well := startResolver(t, only("a.test A 203.0.113.7"))
	gone, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := gone.LocalAddr().(*net.UDPAddr).AddrPort()
	_ = gone.Close()
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		resolvers []netip.AddrPort
		outcome   Outcome
	}{
		"silent":               {[]netip.AddrPort{silent.at}, Unavailable},
		"closed":               {[]netip.AddrPort{closed}, Unavailable},
		"none":                 {nil, Unavailable},
		"all":                  {[]netip.AddrPort{silent.at, silent.at, broken.at, closed, silent.at, silent.at}, Unavailable},
		"silent, then well":    {[]netip.AddrPort{silent.at, well.at}, Found},
		"broken, closed, well": {[]netip.AddrPort{broken.at, closed, well.at}, Found},
	} {
		all.Go(func() {
			if got := lookup(t, NewClient(c.resolvers), "a.test"); got.Outcome != c.outcome {
				t.Errorf("%s: %+v", name, got)
			}
		})
	}
	all.Wait()
}

func TestHalfAnAnswerIsTakenIfItHasAddressesAndSaysNothingIfNot(t *testing.T) {
	half := func(silent dnsmessage.Type, records ...string) func(asked) [][]byte {
		return func(a asked) [][]byte {
			if a.Type == silent {
				return nil
			}
			return [][]byte{reply(a, nil, records...)}
		}
	}
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		handle  func(asked) [][]byte
		outcome Outcome
		within  time.Duration
	}{
		"no AAAA":         {half(dnsmessage.TypeAAAA, "a.test A 203.0.113.7"), Found, time.Second},
		"no A":            {half(dnsmessage.TypeA, "a.test AAAA 2001:db8::7"), Found, 3 * time.Second},
		"no A and empty":  {half(dnsmessage.TypeA), Unavailable, 3 * time.Second},
		"empty and no A6": {half(dnsmessage.TypeAAAA), Unavailable, 3 * time.Second},
	} {
		all.Go(func() {
			r := startResolver(t, c.handle)
			begun := time.Now()
			got := lookup(t, NewClient([]netip.AddrPort{r.at}), "a.test")
			if took := time.Since(begun); got.Outcome != c.outcome || took > c.within {
				t.Errorf("%s: %+v after %v", name, got, took)
			}
		})
	}
	all.Wait()
}

func TestAnAnswerIsKeptForItsTTLAndNoLonger(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		records []string
		nx      bool
		kept    time.Duration
	}{
		"a minute":                  {[]string{"a.test A 203.0.113.7 60"}, false, time.Minute},
		"an alias of ten seconds":   {[]string{"a.test CNAME b.test 10", "b.test A 203.0.113.7 60"}, false, 10 * time.Second},
		"a year":                    {[]string{"a.test A 203.0.113.7 31536000"}, false, maxAge},
		"nothing":                   {[]string{"a.test A 203.0.113.7 0"}, false, 0},
		"no such name":              {[]string{"test SOA - 20"}, true, 20 * time.Second},
		"no such name for a day":    {[]string{"test SOA - 86400"}, true, negativeAge},
		"no such name, for no time": {nil, true, 0},
	} {
		r := startResolver(t, func(a asked) [][]byte {
			return [][]byte{reply(a, func(m *dnsmessage.Message) {
				if c.nx {
					m.RCode = dnsmessage.RCodeNameError
				}
			}, c.records...)}
		})
		client := NewClient([]netip.AddrPort{r.at})
		at := now
		client.now = func() time.Time { return at }
		first := lookup(t, client, "a.test")
		if c.kept > 0 {
			at = now.Add(c.kept - time.Nanosecond)
			again := lookup(t, client, "a.test")
			if r.count(dnsmessage.TypeA) != 1 || !reflect.DeepEqual(again.Addresses, first.Addresses) || again.Outcome != first.Outcome || again.TTL != time.Nanosecond {
				t.Errorf("%s: asked %d times, %+v", name, r.count(dnsmessage.TypeA), again)
			}
		}
		at = now.Add(c.kept)
		lookup(t, client, "a.test")
		if r.count(dnsmessage.TypeA) != 2 {
			t.Errorf("%s: asked %d times", name, r.count(dnsmessage.TypeA))
		}
		client.Use([]netip.AddrPort{r.at})
		lookup(t, client, "a.test")
		if r.count(dnsmessage.TypeA) != 3 {
			t.Errorf("%s: what former resolvers said is kept", name)
		}
	}
}

func TestAnAnswerOfFormerResolversThatComesLateIsNotKept(t *testing.T) {
	arrived, gate := make(chan struct{}, 2), make(chan struct{})
	former := startResolver(t, func(a asked) [][]byte {
		arrived <- struct{}{}
		<-gate
		return only("a.test A 203.0.113.7")(a)
	})
	client := NewClient([]netip.AddrPort{former.at})
	done := make(chan Result)
	go func() { done <- client.Lookup(context.Background(), "a.test", always) }()
	<-arrived
	client.Use([]netip.AddrPort{startResolver(t, only("a.test A 203.0.113.8")).at})
	close(gate)
	<-done
	if got := lookup(t, client, "a.test"); got.Outcome != Found || got.Addresses[0].String() != "203.0.113.8" {
		t.Errorf("%+v", got)
	}
}

func TestNoMoreNamesAreKeptThanTheirBound(t *testing.T) {
	r := startResolver(t, func(a asked) [][]byte { return [][]byte{reply(a, nil, a.name()+" A 203.0.113.7")} })
	client := NewClient([]netip.AddrPort{r.at})
	for i := range maxRemembered + 50 {
		if got := lookup(t, client, fmt.Sprintf("n%d.test", i)); got.Outcome != Found {
			t.Fatalf("%+v", got)
		}
	}
	if len(client.remembered) != maxRemembered {
		t.Errorf("%d are kept", len(client.remembered))
	}
}

func TestWhoAskForOneNameAtOnceShareOneQuestionAndNoMoreAreUnderWayThanTheirBound(t *testing.T) {
	var mu sync.Mutex
	underWay, most := 0, 0
	gate := make(chan struct{})
	var open sync.Once
	r := startResolver(t, func(a asked) [][]byte {
		if a.Type == dnsmessage.TypeA {
			mu.Lock()
			underWay++
			most = max(most, underWay)
			isFull := underWay == maxLookups
			mu.Unlock()
			if isFull {
				open.Do(func() { close(gate) })
			}
			<-gate
			mu.Lock()
			underWay--
			mu.Unlock()
		}
		return [][]byte{reply(a, nil, a.name()+" A 203.0.113.7")}
	})
	client := NewClient([]netip.AddrPort{r.at})
	var all sync.WaitGroup
	for i := range 2 * maxLookups {
		for range 3 {
			all.Go(func() {
				if got := client.Lookup(context.Background(), fmt.Sprintf("n%d.test", i), always); got.Outcome != Found {
					t.Errorf("%+v", got)
				}
			})
		}
	}
	all.Wait()
	mu.Lock()
	defer mu.Unlock()
	if most > maxLookups {
		t.Errorf("%d at once", most)
	}
	// Whoever came late may have begun a second flight; three would be none shared.
	if r.count(dnsmessage.TypeA) > 3*maxLookups {
		t.Errorf("asked %d times for %d names", r.count(dnsmessage.TypeA), 2*maxLookups)
	}
}

func TestWhoMayAskNoMoreIsToldNothingAndNobodyIsAsked(t *testing.T) {
	r := startResolver(t, only("a.test A 203.0.113.7"))
	client := NewClient([]netip.AddrPort{r.at})
	if got := client.Lookup(context.Background(), "a.test", func() bool { return false }); got.Outcome != Unavailable || len(r.all()) > 0 {
		t.Errorf("%+v, asked %d", got, len(r.all()))
	}
	lookup(t, client, "a.test")
	if got := client.Lookup(context.Background(), "a.test", func() bool { return false }); got.Outcome != Found {
		t.Errorf("what is known isn't told: %+v", got)
	}
}

func TestEveryQuestionHasAPortAndAnIdOfItsOwn(t *testing.T) {
	r := startResolver(t, func(a asked) [][]byte { return [][]byte{reply(a, nil, a.name()+" A 203.0.113.7")} })
	client := NewClient([]netip.AddrPort{r.at})
	for i := range 50 {
		lookup(t, client, fmt.Sprintf("n%d.test", i))
	}
	ids, ports := map[uint16]bool{}, map[string]bool{}
	for _, question := range r.all() {
		ids[question.id] = true
		_, port, _ := strings.Cut(question.from, ":")
		ports[port] = true
	}
	if len(ids) < 90 || len(ports) < 80 {
		t.Errorf("%d ids, %d ports of %d questions", len(ids), len(ports), len(r.all()))
	}
}

// FuzzAnswers: no answer makes it panic, or take more than its bounds.
func FuzzAnswers(f *testing.F) {
	question := asked{Question: dnsmessage.Question{Name: dnsmessage.MustNewName("a.test."), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}
	f.Add(reply(question, nil, "a.test CNAME b.test", "b.test A 203.0.113.7"))
	f.Add(reply(question, func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeNameError }, "test SOA - 20"))
	f.Fuzz(func(t *testing.T, message []byte) {
		result := read(message, "a.test.")
		isFound := result.Outcome == Found
		if len(result.Addresses) > maxAddresses || isFound != (len(result.Addresses) > 0) || result.TTL < 0 || result.TTL > maxAge {
			t.Errorf("%+v", result)
		}
	})
}
