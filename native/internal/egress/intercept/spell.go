package intercept

import (
	"strings"
	"unicode/utf8"
)

// pattern is one form of a value that is looked for. Beside as it stands it is found with any of its characters as URLs
// (%2F, + for a space) and as JSON (\u002f, \/) spell them.
type pattern struct {
	name string
	text string
	// isHex: capitals don't count.
	isHex bool
	// isExact: it is too short to be looked for in other spellings.
	isExact bool
}

// match returns how long the longest spelling of the pattern is that text begins with, 0 if with none, and whether more of
// the text might make it a spelling, or a longer one.
func (p *pattern) match(text []byte) (length int, more bool) {
	var seen map[[2]int]bool
	return p.from(text, 0, 0, &seen)
}

func (p *pattern) from(text []byte, at, next int, seen *map[[2]int]bool) (length int, more bool) {
	for next < len(p.text) {
		if at == len(text) {
			return length, true
		}
		c, isRaw := text[at], p.isRaw(text[at], next)
		if p.isExact || c != '%' && c != '\\' && c != '+' {
			if !isRaw {
				return 0, false
			}
			at, next = at+1, next+1
			continue
		}
		width, stands, partial := p.spelled(text[at:], next)
		switch {
		case isRaw && (width > 0 || partial):
			// Both may be meant: where a value has a percent sign or a backslash itself.
			return p.either(text, at, next, width, stands, partial, seen)
		case isRaw:
			at, next = at+1, next+1
		case width > 0:
			at, next = at+width, next+stands
		default:
			return 0, partial
		}
	}
	return at, false
}

func (p *pattern) either(text []byte, at, next, width, stands int, partial bool, seen *map[[2]int]bool) (length int, more bool) {
	if *seen == nil {
		*seen = map[[2]int]bool{}
	}
	if (*seen)[[2]int{at, next}] {
		return 0, false
	}
	(*seen)[[2]int{at, next}] = true
	length, more = p.from(text, at+1, next+1, seen)
	if width > 0 {
		other, otherMore := p.from(text, at+width, next+stands, seen)
		length, more = max(length, other), more || otherMore
	}
	return length, more || partial
}

func (p *pattern) isRaw(c byte, next int) bool {
	if p.isHex {
		return lower(c) == p.text[next]
	}
	return c == p.text[next]
}

// spelled reads an escape at the beginning of text: its width, and how many of the pattern's bytes it stands for; partial
// tells that it may become one with more of the text.
func (p *pattern) spelled(text []byte, next int) (width, stands int, partial bool) {
	want := p.text[next:]
	switch {
	case text[0] == '+' && want[0] == ' ':
		return 1, 1, false
	case text[0] == '%':
		return readEscape(text, "%"+hexOf(rune(want[0]), 2), 1)
	case text[0] != '\\':
		return 0, 0, false
	case len(text) == 1:
		return 0, 0, true
	case text[1] == want[0] && strings.IndexByte(`"\/'`, want[0]) >= 0:
		return 2, 1, false
	case text[1] == 'u':
		r, size := utf8.DecodeRuneInString(want)
		if r == utf8.RuneError || r > 0xffff {
			return 0, 0, false
		}
		return readEscape(text, `\u`+hexOf(r, 4), size)
	}
	return 0, 0, false
}

// readEscape compares text with an escape whose digits are in lower case.
func readEscape(text []byte, escape string, stands int) (int, int, bool) {
	n := min(len(text), len(escape))
	for i := range n {
		if lower(text[i]) != escape[i] {
			return 0, 0, false
		}
	}
	if n < len(escape) {
		return 0, 0, true
	}
	return n, stands, false
}

const digits = "0123456789abcdef"

func hexOf(r rune, width int) string {
	text := make([]byte, width)
	for i := range width {
		text[width-1-i] = digits[r>>(4*i)&15]
	}
	return string(text)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
