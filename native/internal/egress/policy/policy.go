// Package policy decides what a sandbox may reach: by the name that was asked for, and by the address that would be dialled.
// What nobody may reach is another package's.
package policy

import (
	"errors"
	"fmt"
	"net/netip"
)

// Modes of a policy.
const (
	None      = "none"
	Public    = "public"
	Allowlist = "allowlist"
)

// Reasons of a verdict.
const (
	ByRule     = "rule"
	ByPublic   = "public"
	NotAllowed = "not_allowed"
	DenyRule   = "deny_rule"
)

// dnsPort is a resolver's.
const dnsPort = 53

// maxRules bounds one list of rules.
const maxRules = 1024

// maxPolicies bounds the policies that hold for one sandbox together.
const maxPolicies = 16

// Policy is a policy as the server sends it. It permits what no deny rule matches and an allow rule or its mode allows.
type Policy struct {
	Name  string `json:"name"`
	Mode  string `json:"mode"`
	Allow []Rule `json:"allow"`
	Deny  []Rule `json:"deny"`
}

// Set is the policies that hold for one sandbox: what it reaches, every one of them permits.
type Set struct{ policies []compiled }

type compiled struct {
	name  string
	mode  string
	allow []rule
	deny  []rule
}

// Verdict is whether something is permitted, and by what.
type Verdict struct {
	Allowed bool
	Reason  string
	// Rule and Policy are the text and the policy's name that decided, where one did.
	Rule   string
	Policy string
}

// Compile reads policies. An error names the place of what is wrong.
func Compile(policies []Policy) (*Set, error) {
	if len(policies) == 0 || len(policies) > maxPolicies {
		return nil, fmt.Errorf("policies: there are %d, and may be 1 to %d", len(policies), maxPolicies)
	}
	set := &Set{}
	for i, from := range policies {
		policy, err := compile(from)
		if err != nil {
			return nil, fmt.Errorf("policies[%d].%w", i, err)
		}
		set.policies = append(set.policies, policy)
	}
	return set, nil
}

func compile(from Policy) (compiled, error) {
	policy := compiled{name: from.Name, mode: from.Mode}
	switch {
	case from.Name == "":
		return policy, errors.New("name: is missing")
	case from.Mode != None && from.Mode != Public && from.Mode != Allowlist:
		return policy, fmt.Errorf("mode: %q is none of none, public, allowlist", from.Mode)
	}
	var err error
	if policy.allow, err = readAll("allow", from.Allow); err != nil {
		return policy, err
	}
	policy.deny, err = readAll("deny", from.Deny)
	return policy, err
}

func readAll(list string, from []Rule) ([]rule, error) {
	if len(from) > maxRules {
		return nil, fmt.Errorf("%s: has %d rules, and may have %d", list, len(from), maxRules)
	}
	rules := make([]rule, len(from))
	for i := range from {
		var err error
		if rules[i], err = read(from[i]); err != nil {
			return nil, fmt.Errorf("%s[%d].%w", list, i, err)
		}
	}
	return rules, nil
}

// Name decides on a connection to a name, before it is resolved. Where some requests to it are allowed or denied, the
// connection is allowed: Request decides on each.
func (s *Set) Name(host string, port uint16) Verdict {
	return s.every(func(policy *compiled) Verdict {
		if match := first(policy.deny, func(r *rule) bool { return r.isFor(host, port) && !r.isNarrow() }); match != nil {
			return policy.verdict(DenyRule, match)
		}
		return policy.allows(port, func(r *rule) bool { return r.isFor(host, port) })
	})
}

// Candidate decides on an address that a permitted name has: deny rules for networks hold for it, allow rules don't.
func (s *Set) Candidate(address netip.Addr, port uint16) Verdict {
	return s.denied(func(r *rule) bool { return r.hasAddress(address) && r.ports.Has(port) })
}

// Address decides on a connection to a literal address.
func (s *Set) Address(address netip.Addr, port uint16) Verdict {
	return s.every(func(policy *compiled) Verdict {
		return policy.decide(port, func(r *rule) bool { return r.hasAddress(address) && r.ports.Has(port) })
	})
}

// Said decides on a name that a client said on a connection to a literal address. Such a connection isn't inspected:
// where some requests are denied, all are.
func (s *Set) Said(host string, port uint16) Verdict {
	return s.denied(func(r *rule) bool { return r.isFor(host, port) })
}

// Resolve decides whether a name is answered: some port of it must be allowed, and not every one denied.
func (s *Set) Resolve(host string) Verdict {
	return s.every(func(policy *compiled) Verdict {
		if match := first(policy.deny, func(r *rule) bool { return r.hasHost(host) && len(r.ports) == 0 && !r.isNarrow() }); match != nil {
			return policy.verdict(DenyRule, match)
		}
		return policy.allows(0, func(r *rule) bool { return r.hasHost(host) })
	})
}

// IsOpen tells whether every policy is public, denies and inspects nothing, so that nothing has to be looked into.
func (s *Set) IsOpen() bool {
	for i := range s.policies {
		if s.policies[i].mode != Public || len(s.policies[i].deny) > 0 {
			return false
		}
	}
	return !s.HasInspection()
}

// HasAllowlist tells whether names are answered by rules alone.
func (s *Set) HasAllowlist() bool {
	for i := range s.policies {
		if s.policies[i].mode != Public {
			return true
		}
	}
	return false
}

// every returns the first denial, or the last verdict that a rule gave, or the last.
func (s *Set) every(decide func(*compiled) Verdict) Verdict {
	var verdict Verdict
	for i := range s.policies {
		next := decide(&s.policies[i])
		if !next.Allowed {
			return next
		}
		if next.Rule != "" || verdict.Rule == "" {
			verdict = next
		}
	}
	return verdict
}

func (s *Set) denied(matches func(*rule) bool) Verdict {
	return s.every(func(policy *compiled) Verdict {
		if match := first(policy.deny, matches); match != nil {
			return policy.verdict(DenyRule, match)
		}
		return Verdict{Allowed: true}
	})
}

func (c *compiled) decide(port uint16, matches func(*rule) bool) Verdict {
	if match := first(c.deny, matches); match != nil {
		return c.verdict(DenyRule, match)
	}
	return c.allows(port, matches)
}

// allows decides by the allow rules and the mode. Names are asked of our own resolver: what is public is not a resolver of the
// sandbox's choice, unless a rule says so.
func (c *compiled) allows(port uint16, matches func(*rule) bool) Verdict {
	if c.mode != None {
		if match := first(c.allow, matches); match != nil {
			return c.verdict(ByRule, match)
		}
	}
	if c.mode == Public && port != dnsPort {
		return c.verdict(ByPublic, nil)
	}
	return c.verdict(NotAllowed, nil)
}

func (c *compiled) verdict(reason string, by *rule) Verdict {
	verdict := Verdict{Allowed: reason == ByRule || reason == ByPublic, Reason: reason, Policy: c.name}
	if by != nil {
		verdict.Rule = by.text
	}
	return verdict
}

func first(rules []rule, matches func(*rule) bool) *rule {
	for i := range rules {
		if matches(&rules[i]) {
			return &rules[i]
		}
	}
	return nil
}
