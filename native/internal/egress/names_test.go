package egress

import (
	"encoding/base64"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"stacyvm/native/internal/egresswire"
)

func resolveRequest(name string) egresswire.Request {
	return egresswire.Request{Open: egresswire.OpenResolve, Host: name}
}

// counted tells how often a name was asked for.
func counted(count *atomic.Int64, answer func(dnsmessage.Question, *dnsmessage.Builder) error) func(dnsmessage.Question, *dnsmessage.Builder) error {
	return func(question dnsmessage.Question, builder *dnsmessage.Builder) error {
		count.Add(1)
		return answer(question, builder)
	}
}

func TestANameIsAnsweredOnASlotThatIsUsedAgain(t *testing.T) {
	s := startGateway(t)
	serveNames(t, zone{"api.example.com": addressesOf(60, "203.0.113.7"), "empty.test": addressesOf(60)})
	a := s.sandboxOf("sb-1", publicPolicy)
	slot := <-a.slots
	for name, want := range map[string]string{"api.example.com": "", "API.EXAMPLE.COM.": "", "nowhere.test": egresswire.UnknownHost, "empty.test": egresswire.NoAddress, "127.0.0.1": egresswire.UnknownHost} {
		if err := egresswire.Write(slot, resolveRequest(name)); err != nil {
			t.Fatal(err)
		}
		answer, err := egresswire.ReadAnswer(slot)
		if err != nil || answer.Error != want || answer.OK && (answer.TTL < 50 || answer.TTL > 60) {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
	}
	if usage := s.must(`"op":"usage"`)["sandboxes"].(map[string]any)["sb-1"].(map[string]any); usage["failed"] != 3.0 || usage["allowed"] != 0.0 {
		t.Errorf("%v", usage)
	}
}

func TestUnderAnAllowlistNobodyIsAskedForANameThatNoRuleAllows(t *testing.T) {
	s := startGateway(t)
	var asked atomic.Int64
	secret := counted(&asked, addressesOf(60, "203.0.113.7"))
	serveNames(t, zone{"stolen.evil.test": secret, "x.api.example.com": secret, "api.example.com": counted(&asked, func(question dnsmessage.Question, builder *dnsmessage.Builder) error {
		if question.Type != dnsmessage.TypeA && question.Type != dnsmessage.TypeAAAA {
			t.Errorf("a resolver was asked for %v", question.Type)
		}
		return addressesOf(60, "203.0.113.7")(question, builder)
	})})
	a := s.sandboxOf("sb-1", allowAPI)
	for _, name := range []string{"stolen.evil.test", "x.api.example.com", "example.com"} {
		if _, answer := a.ask(resolveRequest(name)); answer.Error != egresswire.Denied {
			t.Errorf("%s: %+v", name, answer)
		}
		if _, answer := a.connect(name, 443); answer.Error != egresswire.Denied {
			t.Errorf("%s: %+v", name, answer)
		}
		if _, answer := a.ask(dnsRequest(t, name)); answer.Error != egresswire.Denied {
			t.Errorf("%s: %+v", name, answer)
		}
		for range 3 {
			if decision := s.event("decision"); decision["decision"] != "denied" || decision["reason"] != "not_allowed" || decision["host"] != name {
				t.Errorf("%v", decision)
			}
		}
	}
	if asked.Load() > 0 {
		t.Errorf("a resolver was asked %d times", asked.Load())
	}
	_, answer := a.ask(dnsRequest(t, "api.example.com"))
	reply, err := base64.StdEncoding.DecodeString(answer.Message)
	var message dnsmessage.Message
	if !answer.OK || err != nil || message.Unpack(reply) != nil || len(message.Answers) > 0 || message.RCode != 0 {
		t.Errorf("%+v: %v", answer, message)
	}
	if _, answer := a.ask(resolveRequest("api.example.com")); !answer.OK {
		t.Errorf("%+v", answer)
	}
}

func dnsRequest(t *testing.T, name string) egresswire.Request {
	t.Helper()
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 1, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name + "."), Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}},
	}
	packed, err := message.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return egresswire.Request{Open: egresswire.OpenDNS, Message: base64.StdEncoding.EncodeToString(packed)}
}

func TestOtherTypesAreForwardedWhereThePolicyIsPublic(t *testing.T) {
	s := startGateway(t)
	serveNames(t, zone{"text.test": func(question dnsmessage.Question, builder *dnsmessage.Builder) error {
		if err := builder.StartAnswers(); err != nil {
			return err
		}
		return builder.TXTResource(dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET}, dnsmessage.TXTResource{TXT: []string{"text"}})
	}})
	_, answer := s.sandboxOf("sb-1", publicPolicy).ask(dnsRequest(t, "text.test"))
	reply, err := base64.StdEncoding.DecodeString(answer.Message)
	var message dnsmessage.Message
	if !answer.OK || err != nil || message.Unpack(reply) != nil || len(message.Answers) != 1 {
		t.Errorf("%+v: %v", answer, message)
	}
}

func TestANameThatPointsElsewhereByTheTimeItIsDialledIsJudgedByWhatIsDialled(t *testing.T) {
	s := startGateway(t)
	var asked atomic.Int64
	serveNames(t, zone{"rebind.test": func(question dnsmessage.Question, builder *dnsmessage.Builder) error {
		if question.Type == dnsmessage.TypeA && asked.Add(1) == 1 {
			return addressesOf(0, "203.0.113.7")(question, builder)
		}
		return addressesOf(0, "10.1.2.3")(question, builder)
	}})
	private := echo(t, "10.1.2.3:80")
	a := s.sandboxOf("sb-1", publicPolicy)
	if _, answer := a.ask(resolveRequest("rebind.test")); !answer.OK {
		t.Fatalf("%+v", answer)
	}
	if _, answer := a.connect("rebind.test", 80); answer.Error != egresswire.Denied || private.count() > 0 {
		t.Errorf("%+v, %d", answer, private.count())
	}
	if decision := s.event("decision"); decision["reason"] != "always_denied" || decision["address"] != "10.1.2.3" {
		t.Errorf("%v", decision)
	}
}

func TestAnAliasIsDecidedByTheNameThatWasAskedForAndTheAddressThatItLeadsTo(t *testing.T) {
	s := startGateway(t)
	alias := func(to, address string) func(dnsmessage.Question, *dnsmessage.Builder) error {
		return func(question dnsmessage.Question, builder *dnsmessage.Builder) error {
			target := dnsmessage.MustNewName(to + ".")
			header := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 60}
			if err := builder.StartAnswers(); err != nil {
				return err
			}
			if err := builder.CNAMEResource(header, dnsmessage.CNAMEResource{CNAME: target}); err != nil {
				return err
			}
			return addAddress(builder, target, question.Type, 60, address)
		}
	}
	serveNames(t, zone{"api.example.com": alias("cdn.test", "203.0.113.7"), "inner.example.com": alias("db.internal", "10.1.2.3"), "cdn.test": addressesOf(60, "203.0.113.7")})
	echo(t, "203.0.113.7:443")
	a := s.sandboxOf("sb-1", `{"name":"sandbox","mode":"allowlist","allow":[{"text":"*.example.com","host":"*.example.com"}],"deny":[]}`)
	exchange(t, a.must("api.example.com", 443), "hello")
	for _, target := range []string{"inner.example.com", "cdn.test", "203.0.113.7"} {
		if _, answer := a.connect(target, 443); answer.Error != egresswire.Denied {
			t.Errorf("%s: %+v", target, answer)
		}
	}
}
