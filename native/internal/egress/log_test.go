package egress

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// journalOf returns a journal whose output nobody writes.
func journalOf(sandbox string, queue int) (*journal, *output) {
	to := &output{events: make(chan any, queue)}
	return &journal{sandbox: sandbox, output: to}, to
}

func TestMoreDecisionsThanAreToldInASecondAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, to := journalOf("sb-1", 10_000)
		told := 0
		for range maxTold + 40 {
			if j.decision(Decision{}) {
				told++
			}
		}
		if told != maxTold || len(to.events) != maxTold {
			t.Errorf("%d are told, %d wait", told, len(to.events))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if !j.decision(Decision{}) {
			t.Error("nothing is told in the next second")
		}
		for range maxTold {
			<-to.events
		}
		if event := <-to.events; event != (missed{"missed", "sb-1", 40}) {
			t.Errorf("%+v", event)
		}
	})
}

func TestWhereNobodyReadsNothingWaitsAndWhatIsMissedIsToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, to := journalOf("sb-1", 3)
		for range 5 {
			j.decision(Decision{})
		}
		j.closed(Closed{})
		time.Sleep(time.Minute)
		synctest.Wait()
		for range 3 {
			<-to.events
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if event := <-to.events; event != (missed{"missed", "sb-1", 3}) {
			t.Errorf("%+v", event)
		}
	})
}

func TestAConnectionWhoseDecisionWasNotToldHasNoEndThatIs(t *testing.T) {
	j, to := journalOf("sb-1", 10)
	f := &flow{sandbox: &sandbox{journal: j}, id: 7}
	f.tellClosed(endOrderly)
	if len(to.events) > 0 {
		t.Errorf("%+v", <-to.events)
	}
	f.told = true
	f.tellClosed(endOrderly)
	if event := (<-to.events).(Closed); event.Flow != 7 || event.Reason != "ended" {
		t.Errorf("%+v", event)
	}
}

func TestEventsHaveTheNamesOfTheWire(t *testing.T) {
	line, err := json.Marshal(Decision{Event: "decision", Sandbox: "sb-1", AtMs: 1, Flow: 17, Kind: "connect", Host: "a.test", Address: "203.0.113.7", Port: 443, Decision: "allowed", Reason: "rule", Rule: "a.test:443", Policy: "sandbox"})
	want := `{"event":"decision","sandbox":"sb-1","at_ms":1,"flow":17,"kind":"connect","host":"a.test","address":"203.0.113.7","port":443,"decision":"allowed","reason":"rule","rule":"a.test:443","policy":"sandbox"}`
	if err != nil || string(line) != want {
		t.Errorf("%s, %v", line, err)
	}
	line, err = json.Marshal(Closed{Event: "closed", Sandbox: "sb-1", AtMs: 1, Flow: 17, Sent: 10, Received: 20, Reason: "ended"})
	want = `{"event":"closed","sandbox":"sb-1","at_ms":1,"flow":17,"sent":10,"received":20,"reason":"ended"}`
	if err != nil || string(line) != want {
		t.Errorf("%s, %v", line, err)
	}
}

func TestALineThatIsNoCommandIsAnsweredWithWhatIsWrong(t *testing.T) {
	unconfigured, in := io.Pipe()
	out, output := io.Pipe()
	gateway, err := New(output)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- gateway.Serve(unconfigured) }()
	answers := json.NewDecoder(out)
	ask := func(line string) answer {
		t.Helper()
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			t.Fatal(err)
		}
		var reply answer
		if err := answers.Decode(&reply); err != nil {
			t.Fatal(err)
		}
		return reply
	}
	set := `{"id":1,"op":"set","sandbox":"sb-1","door":"/door","policies":[` + publicPolicy + `],"limits":{}}`
	if reply := ask(set); reply.Error != "configure comes first" {
		t.Errorf("%+v", reply)
	}
	for line, want := range map[string]string{
		`nonsense`:                     "invalid character",
		`{"id":1,"op":"exec"}`:         `op: "exec" is none of`,
		`{"id":1,"op":"usage","as":0}`: `unknown field "as"`,
		`{"id":1,"op":"configure","resolvers":["dns.test:53"]}`:                                  `resolvers[0]: "dns.test:53"`,
		`{"id":1,"op":"configure","open":[{"cidr":"10.0.0.0/8","ports":[]},{"cidr":"10/8"}]}`:    `open[1].cidr: "10/8"`,
		`{"id":1,"op":"configure","open":[{"cidr":"10.0.0.0/8","ports":[[1,2],[0,1]]}]}`:         `open[0].ports[1]: 0-1`,
		strings.Replace(set, `"/door"`, `"door"`, 1):                                             "sandbox and door",
		strings.Replace(set, `"sb-1"`, `""`, 1):                                                  "sandbox and door",
		strings.Replace(set, publicPolicy, ``, 1):                                                "policies: there are 0",
		strings.Replace(set, `"limits":{}`, `"limits":{"connections":-1}`, 1):                    "limits:",
		strings.Replace(set, `"allow":[]`, `"allow":[{"text":"x","host":"x","uid":0}]`, 1):       `unknown field "uid"`,
		strings.Replace(set, `"allow":[]`, `"allow":[{"text":"x","host":"x","cidr":"::/0"}]`, 1): "policies[0].allow[0].names",
	} {
		if reply := ask(line); !strings.Contains(reply.Error, want) || reply.OK != nil {
			t.Errorf("%s: %+v", line, reply)
		}
	}
	if reply := ask(`{"id":9,"op":"drop","sandbox":"sb-1"}`); reply.ID != 9 || reply.Error != "" {
		t.Errorf("%+v", reply)
	}
	_ = in.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestAGatewayWhoseAnswersNobodyReadsEnds(t *testing.T) {
	out, output := io.Pipe()
	gateway, err := New(output)
	if err != nil {
		t.Fatal(err)
	}
	_ = out.Close()
	if err := gateway.Serve(strings.NewReader(strings.Repeat("{\"id\":1,\"op\":\"usage\"}\n", 3))); err == nil {
		t.Error("it goes on")
	}
}
