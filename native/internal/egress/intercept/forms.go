package intercept

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// shortBytes is what a value has at least to be looked for in other forms than its own: shorter ones would be found by
// chance.
const shortBytes = 8

// formsOf are the forms of a value that are looked for.
func formsOf(name, value string) []pattern {
	if len(value) < shortBytes {
		return []pattern{{name: name, text: value, isExact: true}}
	}
	patterns := []pattern{{name: name, text: value}, {name: name, text: hex.EncodeToString([]byte(value)), isHex: true}}
	known := map[string]bool{}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			if text := encodedBehind(encoding, before, value); !known[text] {
				known[text] = true
				patterns = append(patterns, pattern{name: name, text: text})
			}
		}
	}
	return patterns
}

// encodedBehind is what base64 of a text shows of a value in it that has some bytes before it, modulo three, whatever
// stands around it: the characters that are made of the value's bits alone.
func encodedBehind(encoding *base64.Encoding, before int, value string) string {
	whole := encoding.EncodeToString([]byte(strings.Repeat("\x00", before) + value))
	return whole[(8*before+5)/6 : 8*(before+len(value))/6]
}
