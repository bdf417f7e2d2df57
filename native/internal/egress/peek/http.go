package peek

import (
	"bytes"
	"strings"
)

// methods are those for whose request the rest is waited; another one counts if its line is there.
var methods = []string{
	"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI",
	"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH",
}

// lookHTTP reads the head of a request. A protocol whose client waits for an answer to what is no request, even if it
// begins like one, isn't held back: a request's line names HTTP.
func lookHTTP(first []byte) Sight {
	if n := len(first) - len(bytes.TrimLeft(first, "\r\n")); n > 0 {
		// Servers let empty lines before a request be.
		return Sight{Kind: Pass, Need: n}
	}
	method, rest, hasSpace := bytes.Cut(first, []byte(" "))
	if !hasSpace {
		for _, known := range methods {
			if strings.HasPrefix(known, string(method)) {
				return Sight{Need: len(first) + 1}
			}
		}
		return Sight{Kind: Other}
	}
	if len(method) == 0 || bytes.ContainsFunc(method, func(r rune) bool { return !isToken(r) }) {
		return Sight{Kind: Other}
	}
	line, _, hasLine := bytes.Cut(rest, []byte("\n"))
	if !hasLine {
		for _, known := range methods {
			if known == string(method) {
				return Sight{Need: len(first) + 1, Line: true}
			}
		}
		return Sight{Kind: Other}
	}
	if !bytes.Contains(bytes.ToUpper(line), []byte("HTTP/")) {
		return Sight{Kind: Other}
	}
	end := headEnd(first)
	if end < 0 {
		return Sight{Need: len(first) + 1, Line: true}
	}
	return readHead(string(method), first[:end])
}

// headEnd is where the empty line ends that ends a head, or -1.
func headEnd(first []byte) int {
	end := -1
	for _, empty := range []string{"\n\r\n", "\n\n"} {
		if at := bytes.Index(first, []byte(empty)); at >= 0 && (end < 0 || at+len(empty) < end) {
			end = at + len(empty)
		}
	}
	return end
}

func isToken(r rune) bool {
	return r < 0x7f && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
}

// readHead reads the names of a head (RFC 9112, 3.2): in Host, and in a target that has one.
func readHead(method string, head []byte) Sight {
	sight := Sight{Kind: HTTP}
	lines := strings.Split(string(head), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
		if strings.ContainsAny(lines[i], "\r\x00") {
			sight.Malformed = true
		}
	}
	parts := strings.Split(lines[0], " ")
	if len(parts) != 3 || !strings.HasPrefix(parts[2], "HTTP/") {
		sight.Malformed = true
		return sight
	}
	target := parts[1]
	if method == "CONNECT" {
		sight.authority(target)
	} else if _, behind, isAbsolute := strings.Cut(target, "://"); isAbsolute && !strings.HasPrefix(target, "/") {
		authority := behind
		if at := strings.IndexAny(behind, "/?#\\"); at >= 0 {
			authority = behind[:at]
		}
		sight.authority(authority)
	}
	hosts := 0
	for _, line := range lines[1:] {
		if line == "" {
			break
		}
		name, value, hasColon := strings.Cut(line, ":")
		// A name that isn't one, a folded line, a space before the colon: servers differ in what they make of them.
		if !hasColon || name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }) {
			sight.Malformed = true
			continue
		}
		if strings.EqualFold(name, "host") {
			if hosts++; hosts > 1 {
				sight.Malformed = true
			}
			sight.authority(strings.Trim(value, " \t"))
		}
	}
	return sight
}

// authority takes the name of a host with or without a port.
func (s *Sight) authority(authority string) {
	host, port, hasPort := strings.Cut(authority, ":")
	if hasPort && strings.Trim(port, "0123456789") != "" {
		s.Malformed = true
		return
	}
	s.say(host)
}
