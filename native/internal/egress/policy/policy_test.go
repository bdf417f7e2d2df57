package policy

import (
	"net/netip"
	"strings"
	"testing"

	"stacyvm/native/internal/egresswire"
)

func host(name string, ports ...[]int) Rule    { return Rule{Text: name, Host: name, Ports: ports} }
func network(cidr string, ports ...[]int) Rule { return Rule{Text: cidr, CIDR: cidr, Ports: ports} }

func compileAll(t *testing.T, policies ...Policy) *Set {
	t.Helper()
	set, err := Compile(policies)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var https = []int{443, 443}

func TestDenyCountsBeforeAllowAndAllowBeforeTheMode(t *testing.T) {
	set := compileAll(t, Policy{Name: "sandbox", Mode: Allowlist,
		Allow: []Rule{host("*.example.com", https), host("example.com"), network("203.0.113.0/24", https)},
		Deny:  []Rule{host("evil.example.com"), host("half.example.com", https), network("203.0.113.7/32")},
	})
	for name, want := range map[string]Verdict{
		"api.example.com:443":      {true, ByRule, "*.example.com", "sandbox"},
		"a.b.example.com:443":      {true, ByRule, "*.example.com", "sandbox"},
		"api.example.com:80":       {false, NotAllowed, "", "sandbox"},
		"example.com:80":           {true, ByRule, "example.com", "sandbox"},
		"notexample.com:443":       {false, NotAllowed, "", "sandbox"},
		"example.com.evil.net:443": {false, NotAllowed, "", "sandbox"},
		"evil.example.com:443":     {false, DenyRule, "evil.example.com", "sandbox"},
		"x.evil.example.com:443":   {true, ByRule, "*.example.com", "sandbox"},
		"half.example.com:443":     {false, DenyRule, "half.example.com", "sandbox"},
	} {
		text, port, _ := strings.Cut(name, ":")
		if got := set.Name(text, map[string]uint16{"443": 443, "80": 80}[port]); got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for target, want := range map[string]Verdict{
		"203.0.113.8:443":         {true, ByRule, "203.0.113.0/24", "sandbox"},
		"203.0.113.8:80":          {false, NotAllowed, "", "sandbox"},
		"203.0.113.7:443":         {false, DenyRule, "203.0.113.7/32", "sandbox"},
		"[::ffff:203.0.113.7]:80": {false, DenyRule, "203.0.113.7/32", "sandbox"},
		"203.0.114.0:443":         {false, NotAllowed, "", "sandbox"},
		"[2001:db8::1]:443":       {false, NotAllowed, "", "sandbox"},
	} {
		at := netip.MustParseAddrPort(target)
		if got := set.Address(at.Addr(), at.Port()); got != want {
			t.Errorf("%s: %+v", target, got)
		}
	}
}

func TestANetworkThatIsAllowedAllowsNoNameAndOneThatIsDeniedDeniesItsAddresses(t *testing.T) {
	set := compileAll(t, Policy{Name: "sandbox", Mode: Allowlist,
		Allow: []Rule{network("0.0.0.0/0"), host("api.example.com")}, Deny: []Rule{network("203.0.113.7/32", https)}})
	if set.Name("other.example.com", 443).Allowed || set.Resolve("other.example.com").Allowed {
		t.Error("an allowed network allows a name")
	}
	for target, want := range map[string]bool{"203.0.113.7:443": false, "203.0.113.7:80": true, "203.0.113.8:443": true} {
		at := netip.MustParseAddrPort(target)
		if got := set.Candidate(at.Addr(), at.Port()); got.Allowed != want {
			t.Errorf("%s: %+v", target, got)
		}
	}
}

func TestModes(t *testing.T) {
	address := netip.MustParseAddr("203.0.113.7")
	rules := []Rule{host("api.example.com"), network("203.0.113.0/24")}
	for mode, want := range map[string]bool{None: false, Allowlist: false, Public: true} {
		set := compileAll(t, Policy{Name: "sandbox", Mode: mode})
		if set.Name("api.example.com", 443).Allowed != want || set.Address(address, 443).Allowed != want || set.Resolve("api.example.com").Allowed != want {
			t.Errorf("%s without rules isn't %t", mode, want)
		}
		set = compileAll(t, Policy{Name: "sandbox", Mode: mode, Allow: rules})
		want = mode != None
		if set.Name("api.example.com", 443).Allowed != want || set.Address(address, 443).Allowed != want || set.Resolve("api.example.com").Allowed != want {
			t.Errorf("%s with rules isn't %t", mode, want)
		}
		set = compileAll(t, Policy{Name: "sandbox", Mode: mode, Allow: rules, Deny: rules})
		if set.Name("api.example.com", 443).Allowed || set.Address(address, 443).Allowed || set.Resolve("api.example.com").Allowed {
			t.Errorf("%s: a deny rule doesn't count before an allow rule", mode)
		}
	}
}

func TestAnotherResolverIsNotPublicButMayBeAllowed(t *testing.T) {
	public := compileAll(t, Policy{Name: "server", Mode: Public})
	allowed := compileAll(t, Policy{Name: "server", Mode: Public, Allow: []Rule{network("8.8.8.8/32", []int{53, 53}), host("dns.example.com")}})
	for set, want := range map[*Set]bool{public: false, allowed: true} {
		if got := set.Address(netip.MustParseAddr("8.8.8.8"), 53); got.Allowed != want {
			t.Errorf("8.8.8.8:53: %+v", got)
		}
		if got := set.Name("dns.example.com", 53); got.Allowed != want {
			t.Errorf("dns.example.com:53: %+v", got)
		}
		if got := set.Name("dns.example.com", 853); !got.Allowed {
			t.Errorf("dns.example.com:853: %+v", got)
		}
	}
}

func TestEveryPolicyMustPermit(t *testing.T) {
	server := Policy{Name: "server", Mode: Allowlist, Allow: []Rule{host("*.example.com")}}
	sandbox := Policy{Name: "sandbox", Mode: Public, Deny: []Rule{host("api.example.com")}}
	set := compileAll(t, server, sandbox)
	for name, want := range map[string]Verdict{
		"api.example.com":   {false, DenyRule, "api.example.com", "sandbox"},
		"other.test":        {false, NotAllowed, "", "server"},
		"other.example.com": {true, ByRule, "*.example.com", "server"},
	} {
		if got := set.Name(name, 443); got != want {
			t.Errorf("%s: %+v", name, got)
		}
		if got := set.Resolve(name); got != want {
			t.Errorf("resolve %s: %+v", name, got)
		}
	}
}

func TestANameIsAnsweredIfSomePortOfItMayBeReached(t *testing.T) {
	set := compileAll(t, Policy{Name: "sandbox", Mode: Allowlist,
		Allow: []Rule{host("api.example.com", https)}, Deny: []Rule{host("*.example.com", []int{1, 442})}})
	if got := set.Resolve("api.example.com"); !got.Allowed {
		t.Errorf("%+v", got)
	}
	if got := set.Resolve("www.example.com"); got.Allowed {
		t.Errorf("%+v", got)
	}
}

func TestWhatHasNothingToLookForIsNotLookedInto(t *testing.T) {
	public := Policy{Name: "server", Mode: Public}
	denying := Policy{Name: "server", Mode: Public, Deny: []Rule{host("a.test")}}
	listed := Policy{Name: "sandbox", Mode: Allowlist}
	for i, c := range []struct {
		set           *Set
		open, answers bool
	}{
		{compileAll(t, public, public), true, false}, {compileAll(t, public, denying), false, false}, {compileAll(t, listed, public), false, true},
	} {
		if c.set.IsOpen() != c.open || c.set.HasAllowlist() != c.answers {
			t.Errorf("%d: open %t, allowlist %t", i, !c.open, !c.answers)
		}
	}
}

func TestAPolicyThatCannotBeReadIsRefusedWithItsPlace(t *testing.T) {
	rule := func(rule Rule) []Policy {
		return []Policy{{Name: "server", Mode: Public}, {Name: "sandbox", Mode: Allowlist, Allow: []Rule{host("a.test"), rule}}}
	}
	for place, policies := range map[string][]Policy{
		"policies: there are 0":                              nil,
		"policies: there are 17":                             make([]Policy, 17),
		"policies[0].name":                                   {{Mode: Public}},
		`policies[0].mode: "Public"`:                         {{Name: "server", Mode: "Public"}},
		"policies[0].deny[0].names":                          {{Name: "server", Mode: Public, Deny: []Rule{{Text: "?"}}}},
		"policies[1].allow[1].names":                         rule(Rule{Host: "a.test", CIDR: "203.0.113.0/24"}),
		`policies[1].allow[1].host: "a..test"`:               rule(host("a..test")),
		`policies[1].allow[1].host: "*.*.test"`:              rule(host("*.*.test")),
		`policies[1].allow[1].host: "127.1"`:                 rule(host("127.1")),
		`policies[1].allow[1].host: "*"`:                     rule(host("*")),
		`policies[1].allow[1].cidr: "203.0.113.0/33"`:        rule(network("203.0.113.0/33")),
		`policies[1].allow[1].cidr: "203.0.113.7"`:           rule(network("203.0.113.7")),
		`policies[1].allow[1].cidr: "::ffff:203.0.113.0/96"`: rule(network("::ffff:203.0.113.0/96")),
		"policies[1].allow[1].ports[0]: a range":             rule(host("a.test", []int{443})),
		"policies[1].allow[1].ports[1]: 443-80":              rule(host("a.test", https, []int{443, 80})),
		"policies[0].allow: has 1025":                        {{Name: "server", Mode: Public, Allow: make([]Rule, maxRules+1)}},
	} {
		if _, err := Compile(policies); err == nil || !strings.HasPrefix(err.Error(), place) {
			t.Errorf("want %s, got %v", place, err)
		}
	}
}

// FuzzHosts: an exact rule matches its name alone, a wildcard what has a label before it, whatever the spelling.
func FuzzHosts(f *testing.F) {
	f.Add("example.com", "API.example.com.")
	f.Add("com", "example.com")
	f.Fuzz(func(t *testing.T, written, asked string) {
		name, ok := egresswire.Name(asked)
		exact, err := read(Rule{Host: written})
		if !ok || err != nil || exact.host == "" {
			return
		}
		if exact.hasHost(name) != (name == exact.host) {
			t.Errorf("%q against %q", written, asked)
		}
		below, err := read(Rule{Host: "*." + written})
		if err != nil {
			t.Fatal(err)
		}
		labels, whole := strings.Split(exact.host, "."), strings.Split(name, ".")
		want := len(whole) > len(labels) && strings.Join(whole[len(whole)-len(labels):], ".") == exact.host
		if below.hasHost(name) != want {
			t.Errorf("*.%q against %q isn't %t", written, asked, want)
		}
	})
}
