package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// maxMethods bounds one rule's methods.
	maxMethods = 16
	// maxMethodBytes bounds one of them.
	maxMethodBytes = 32
	// maxPaths bounds one rule's paths.
	maxPaths = 64
	// maxPathBytes bounds one of them.
	maxPathBytes = 1024
)

// checkRequests checks what a rule says about requests.
func checkRequests(from Rule) error {
	switch {
	case !from.Inspect && len(from.Methods) > 0:
		return errors.New("methods: are for a rule that inspects")
	case !from.Inspect && len(from.Paths) > 0:
		return errors.New("paths: are for a rule that inspects")
	case from.Inspect && from.Host == "":
		return errors.New("inspect: is for a host")
	case len(from.Methods) > maxMethods:
		return fmt.Errorf("methods: has %d, and may have %d", len(from.Methods), maxMethods)
	case len(from.Paths) > maxPaths:
		return fmt.Errorf("paths: has %d, and may have %d", len(from.Paths), maxPaths)
	}
	for i, method := range from.Methods {
		if method == "" || len(method) > maxMethodBytes || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return fmt.Errorf("methods[%d]: %q is no method in capitals", i, method)
		}
	}
	for i, path := range from.Paths {
		if !strings.HasPrefix(path, "/") || len(path) > maxPathBytes || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("paths[%d]: %q is no path that begins with /, of at most %d bytes", i, path, maxPathBytes)
		}
	}
	return nil
}

// Request decides on a request to a host that is inspected, by its method and its decoded path without the query.
func (s *Set) Request(host string, port uint16, method, path string) Verdict {
	return s.every(func(policy *compiled) Verdict {
		return policy.decide(port, func(r *rule) bool { return r.isFor(host, port) && r.hasRequest(method, path) })
	})
}

// Inspects tells whether requests to a host are looked at.
func (s *Set) Inspects(host string, port uint16) bool {
	return s.some(func(r *rule) bool { return r.inspect && r.isFor(host, port) })
}

// Narrows tells whether what a request to a host may do depends on its method, and whether on its path.
func (s *Set) Narrows(host string, port uint16) (byMethod, byPath bool) {
	return s.some(func(r *rule) bool { return len(r.methods) > 0 && r.isFor(host, port) }),
		s.some(func(r *rule) bool { return len(r.paths) > 0 && r.isFor(host, port) })
}

// HasInspection tells whether any rule inspects.
func (s *Set) HasInspection() bool {
	return s.some(func(r *rule) bool { return r.inspect })
}

func (s *Set) some(matches func(*rule) bool) bool {
	for i := range s.policies {
		if first(s.policies[i].allow, matches) != nil || first(s.policies[i].deny, matches) != nil {
			return true
		}
	}
	return false
}

func (r *rule) isFor(host string, port uint16) bool { return r.hasHost(host) && r.ports.Has(port) }

// isNarrow tells whether a rule is for some requests of a host, and not for every one.
func (r *rule) isNarrow() bool { return len(r.methods) > 0 || len(r.paths) > 0 }

func (r *rule) hasRequest(method, path string) bool {
	return (len(r.methods) == 0 || slices.Contains(r.methods, method)) &&
		(len(r.paths) == 0 || slices.ContainsFunc(r.paths, func(pattern string) bool { return matches(pattern, path) }))
}

// matches compares a path with a pattern, whose * is for any run of characters, / among them.
func matches(pattern, path string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(path, parts[0])
	if !ok || len(parts) == 1 {
		return ok && rest == ""
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return strings.HasSuffix(rest, last)
}
