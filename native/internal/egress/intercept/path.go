package intercept

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// shownBytes is how much of a path an event has.
const shownBytes = 256

// rawPath is the path of a request's target, as it was sent, without the query.
func rawPath(target string) string {
	if at := strings.Index(target, "://"); at >= 0 && !strings.HasPrefix(target, "/") {
		target = target[at+3:]
		if slash := strings.IndexAny(target, "/?"); slash >= 0 {
			target = target[slash:]
		} else {
			target = "/"
		}
	}
	path, _, _ := strings.Cut(target, "?")
	if path == "" {
		return "/"
	}
	return path
}

// readPath decodes a path once. ok tells whether everybody reads it in the same way: that it has nothing which some
// servers resolve, decode again, cut off or join.
func readPath(raw string) (path string, ok bool) {
	path, err := url.PathUnescape(raw)
	if err != nil || path == "" || !utf8.ValidString(path) || strings.ContainsAny(raw, `\#`) || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", false
	}
	for at := 0; at+2 < len(raw); at++ {
		if raw[at] != '%' {
			continue
		}
		switch strings.ToLower(raw[at+1 : at+3]) {
		case "2e", "2f", "5c", "23", "3b", "3f":
			return "", false
		}
	}
	for at := 0; at+2 < len(path); at++ {
		if path[at] == '%' && isHexDigit(path[at+1]) && isHexDigit(path[at+2]) {
			return "", false
		}
	}
	for i, segment := range strings.Split(path, "/") {
		// What follows a semicolon are a segment's parameters to some.
		name, _, hasParameters := strings.Cut(segment, ";")
		isEmpty := name == "" && (i > 0 && i < strings.Count(path, "/") || hasParameters)
		if isEmpty || name == "." || name == ".." || i == 0 && segment != "" && path != "*" {
			return "", false
		}
	}
	return path, true
}

func isHexDigit(c byte) bool { return strings.IndexByte(digits, lower(c)) >= 0 }

// shown is what an event has of a path.
func shown(path string) string {
	path = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return -1
		}
		return r
	}, path)
	return strings.ToValidUTF8(path[:min(len(path), shownBytes)], "")
}
