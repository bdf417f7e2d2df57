package intercept

import (
	"strings"
	"testing"
)

func TestAPlaceholderIsFoundHoweverWhatIsSentIsCut(t *testing.T) {
	config := compileSpec(t, []SecretSpec{{"KEY", placeholder, "a.test", 443, nil}, {"OTHER", placeholderPrefix + strings.Repeat("x", 100), "a.test", 443, nil}}, nil)
	text := placeholderPrefix + "stacyvm-secret" + placeholder + strings.Repeat("y", 300)
	for size := 1; size <= len(text); size++ {
		finder, found, sent := Finder{}, -1, 0
		for rest := text; rest != "" && found < 0; {
			n := min(size, len(rest))
			sent += n
			if finder.Find(config, []byte(rest[:n])) {
				found = sent
			}
			rest = rest[n:]
		}
		end := strings.Index(text, placeholder) + len(placeholder)
		if found < end || found >= end+size {
			t.Errorf("in pieces of %d it is found after %d bytes, and ends at %d", size, found, end)
		}
	}
	for _, other := range []string{text[:strings.Index(text, placeholder)], placeholder[:len(placeholder)-1] + "x", strings.ToUpper(placeholder)} {
		if (&Finder{}).Find(config, []byte(other)) {
			t.Errorf("%q is taken for one", other)
		}
	}
	if (&Finder{}).Find(nil, []byte(text)) || (&Finder{}).Find(compileSpec(t, nil, nil), []byte(text)) {
		t.Error("one is found where there is none")
	}
}
