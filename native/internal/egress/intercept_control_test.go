package egress

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

var seeds = map[string]string{
	"one":   base64.StdEncoding.EncodeToString([]byte(strings.Repeat("1", 32))),
	"other": base64.StdEncoding.EncodeToString([]byte(strings.Repeat("2", 32))),
}

const inspectAPI = `{"name":"sandbox","mode":"allowlist","allow":[{"text":"GET api.example.com","host":"api.example.com","inspect":true,"methods":["GET"]}],"deny":[]}`

// setLine is a set with an interception, JSON.
func setLine(id string, a *agent, policies, interception string) string {
	return fmt.Sprintf(`"op":"set","sandbox":%q,"door":%q,"guest_made":false,"policies":[%s],"limits":%s,"interception":%s`,
		id, a.path, policies, limits(0, 0, 0, 0), interception)
}

func TestASetAnswersWithTheAuthorityOfItsSeed(t *testing.T) {
	s := startGateway(t)
	a := startAgent(t)
	spec := func(seed string) string { return fmt.Sprintf(`{"seed":%q,"secrets":[],"inject":[]}`, seeds[seed]) }
	first := s.must(setLine("sb-1", a, inspectAPI, spec("one")))["authority"]
	if text, _ := first.(string); !strings.HasPrefix(text, "-----BEGIN CERTIFICATE-----") {
		t.Fatalf("%v", first)
	}
	if again := s.must(setLine("sb-1", a, inspectAPI, spec("one")))["authority"]; again != first {
		t.Error("another authority of the same seed")
	}
	if other := s.must(setLine("sb-2", a, inspectAPI, spec("other")))["authority"]; other == first {
		t.Error("the same authority of another seed")
	}
	plain := s.set("sb-1", a, publicPolicy, limits(0, 0, 0, 0))
	if _, has := plain["authority"]; has || plain["cut"] != 0.0 {
		t.Errorf("%v", plain)
	}
}

func TestAnInterceptionThatCannotBeReadChangesNothing(t *testing.T) {
	s := startGateway(t)
	a := startAgent(t)
	for members, want := range map[string]string{
		fmt.Sprintf(`"op":"set","sandbox":"sb-1","door":%q,"policies":[%s]`, a.path, inspectAPI):                 "interception: is missing, and a rule inspects",
		setLine("sb-1", a, publicPolicy, `{"seed":"AAAA"}`):                                                      "interception.seed: isn't base64 of 32 bytes",
		setLine("sb-1", a, publicPolicy, fmt.Sprintf(`{"seed":%q,"inject":[{"name":"K"}]}`, seeds["one"])):       `interception.inject[0].host: "" is no name`,
		`"op":"configure","resolvers":[],"open":[],"roots":"nothing"`:                                            "roots: have no PEM",
		setLine("sb-1", a, strings.Replace(inspectAPI, `"inspect":true,`, "", 1), `{"seed":"`+seeds["one"]+`"}`): "policies[0].allow[0].methods: are for a rule that inspects",
	} {
		if got := s.do(members); got["error"] != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
	if len(s.must(`"op":"usage"`)["sandboxes"].(map[string]any)) > 0 {
		t.Error("a sandbox was made")
	}
}
