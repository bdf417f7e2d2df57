package egresswire

import "strings"

// nameLength and labelLength are DNS's own (RFC 1035, 2.3.4).
const (
	nameLength  = 253
	labelLength = 63
)

// Name returns a host's name as it is compared: in lower case, without a trailing dot. ok tells whether it is one:
// letters, digits, hyphens and underscores in labels of at most 63, 253 in all; international names in punycode.
func Name(host string) (name string, ok bool) {
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > nameLength {
		return "", false
	}
	label := 0
	for i := range len(host) {
		c := host[i]
		switch {
		case c == '.':
			if label == 0 {
				return "", false
			}
			label = 0
			continue
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return "", false
		}
		if label++; label > labelLength {
			return "", false
		}
	}
	if label == 0 {
		return "", false
	}
	return asciiLower(host), true
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// IsNumeric tells whether a name's last label is a number as URL parsers read one (decimal, octal, 0x): such a name is a
// spelling of an address to some programs, and nobody's name, as no top-level domain is a number.
func IsNumeric(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if hex, is := strings.CutPrefix(last, "0x"); is {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
