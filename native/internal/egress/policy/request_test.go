package policy

import (
	"regexp"
	"strings"
	"testing"
)

func inspected(name string, methods, paths []string, ports ...[]int) Rule {
	return Rule{Text: name, Host: name, Ports: ports, Inspect: true, Methods: methods, Paths: paths}
}

func TestARequestIsDecidedByItsMethodAndPath(t *testing.T) {
	set := compileAll(t, Policy{Name: "sandbox", Mode: Allowlist,
		Allow: []Rule{inspected("api.test", []string{"GET", "HEAD"}, []string{"/v1/*", "/health"}, https), inspected("all.test", nil, nil)},
		Deny:  []Rule{inspected("api.test", nil, []string{"/v1/admin*"}), inspected("all.test", []string{"DELETE"}, nil)},
	})
	for request, want := range map[string]Verdict{
		"api.test GET /v1/users":      {true, ByRule, "api.test", "sandbox"},
		"api.test GET /v1/":           {true, ByRule, "api.test", "sandbox"},
		"api.test GET /v1":            {false, NotAllowed, "", "sandbox"},
		"api.test get /v1/users":      {false, NotAllowed, "", "sandbox"},
		"api.test POST /v1/users":     {false, NotAllowed, "", "sandbox"},
		"api.test HEAD /health":       {true, ByRule, "api.test", "sandbox"},
		"api.test HEAD /health/x":     {false, NotAllowed, "", "sandbox"},
		"api.test GET /v1/admin/x":    {false, DenyRule, "api.test", "sandbox"},
		"all.test GET /":              {true, ByRule, "all.test", "sandbox"},
		"all.test DELETE /":           {false, DenyRule, "all.test", "sandbox"},
		"other.test GET /v1/users":    {false, NotAllowed, "", "sandbox"},
		"sub.api.test GET /v1/users":  {false, NotAllowed, "", "sandbox"},
		"api.test OPTIONS *":          {false, NotAllowed, "", "sandbox"},
		"all.test PROPFIND /anything": {true, ByRule, "all.test", "sandbox"},
	} {
		parts := strings.Fields(request)
		if got := set.Request(parts[0], 443, parts[1], parts[2]); got != want {
			t.Errorf("%s: %+v", request, got)
		}
	}
	if set.Request("api.test", 80, "GET", "/v1/users").Allowed {
		t.Error("a request to another port is allowed")
	}
}

func TestAConnectionIsAllowedWhereSomeRequestsAre(t *testing.T) {
	deny := inspected("api.test", []string{"DELETE"}, nil)
	public := compileAll(t, Policy{Name: "sandbox", Mode: Public, Deny: []Rule{deny, inspected("gone.test", nil, nil)}})
	listed := compileAll(t, Policy{Name: "sandbox", Mode: Allowlist, Allow: []Rule{inspected("api.test", []string{"GET"}, nil)}})
	for _, set := range []*Set{public, listed} {
		if !set.Name("api.test", 443).Allowed || !set.Resolve("api.test").Allowed || set.Name("gone.test", 443).Allowed {
			t.Error("a connection isn't decided by what its requests may be")
		}
	}
	if public.Said("api.test", 443).Allowed || !public.Said("other.test", 443).Allowed {
		t.Error("on a literal address, where nothing is inspected, a name is let through some of whose requests are denied")
	}
}

func TestWhatIsInspectedIsKnownByHostAndPort(t *testing.T) {
	set := compileAll(t, Policy{Name: "server", Mode: Public, Deny: []Rule{inspected("*.deny.test", nil, []string{"/x"})}},
		Policy{Name: "sandbox", Mode: Public, Allow: []Rule{inspected("api.test", []string{"GET"}, nil, https), host("plain.test")}})
	for target, want := range map[string][3]bool{
		"api.test:443": {true, true, false}, "api.test:80": {}, "a.deny.test:443": {true, false, true}, "a.deny.test:80": {true, false, true},
		"deny.test:443": {}, "plain.test:443": {},
	} {
		name, port, _ := strings.Cut(target, ":")
		number := map[string]uint16{"443": 443, "80": 80}[port]
		byMethod, byPath := set.Narrows(name, number)
		if got := [3]bool{set.Inspects(name, number), byMethod, byPath}; got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
	if set.IsOpen() || !set.HasInspection() || compileAll(t, Policy{Name: "s", Mode: Public, Allow: []Rule{inspected("api.test", nil, nil)}}).IsOpen() {
		t.Error("where something is inspected, nothing is looked into")
	}
}

func TestARuleOfRequestsThatCannotBeReadIsRefusedWithItsPlace(t *testing.T) {
	for place, rule := range map[string]Rule{
		"methods: are for":             {Host: "a.test", Methods: []string{"GET"}},
		"paths: are for":               {Host: "a.test", Paths: []string{"/"}},
		"inspect: is for a host":       {CIDR: "203.0.113.0/24", Inspect: true},
		`methods[1]: "get"`:            inspected("a.test", []string{"GET", "get"}, nil),
		`methods[0]: ""`:               inspected("a.test", []string{""}, nil),
		`methods[0]: "AAAAAAA`:         inspected("a.test", []string{strings.Repeat("A", maxMethodBytes+1)}, nil),
		"methods: has 17":              inspected("a.test", make([]string, maxMethods+1), nil),
		`paths[0]: "v1"`:               inspected("a.test", nil, []string{"v1"}),
		`paths[1]: "*"`:                inspected("a.test", nil, []string{"/", "*"}),
		"paths[0]: \"/\\n\"":           inspected("a.test", nil, []string{"/\n"}),
		"paths: has 65":                inspected("a.test", nil, make([]string, maxPaths+1)),
		`paths[0]: "/aaaaaaaaaaaaaaaa`: inspected("a.test", nil, []string{"/" + strings.Repeat("a", maxPathBytes)}),
	} {
		_, err := Compile([]Policy{{Name: "server", Mode: Public, Deny: []Rule{rule}}})
		if place = "policies[0].deny[0]." + place; err == nil || !strings.HasPrefix(err.Error(), place) {
			t.Errorf("want %s, got %v", place, err)
		}
	}
}

// FuzzPaths: a pattern matches what the regular expression with .* in the stars' places does.
func FuzzPaths(f *testing.F) {
	f.Add("/v1/*/x*", "/v1/a/b/x")
	f.Add("/*a*a", "/aa")
	f.Add("/a**", "/a")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		expression, err := regexp.Compile("(?s)^" + strings.Join(parts, ".*") + "$")
		if err != nil || strings.ToValidUTF8(path, "") != path {
			return
		}
		if got, want := matches(pattern, path), expression.MatchString(path); got != want {
			t.Errorf("%q against %q: %t", pattern, path, got)
		}
	})
}
