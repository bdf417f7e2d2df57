package intercept

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestAPathThatOthersMightReadDifferentlyIsKnown(t *testing.T) {
	for raw, want := range map[string]string{
		"/": "/", "/v1/users": "/v1/users", "/v1/users/": "/v1/users/", "/a%20b": "/a b", "/caf%C3%A9": "/café", "/100%25": "/100%", "/a;v=1/b": "/a;v=1/b", "*": "*",
		"/...": "/...", "/.well-known/x": "/.well-known/x", "/a..b": "/a..b", "/%61dmin": "/admin", "/a+b": "/a+b", "/a:b@c": "/a:b@c",
		"/v1/../admin": "", "/v1/./x": "", "/..": "", "/.": "", "//admin": "", "/a//b": "", "/a//": "", `/a\b`: "", "/%2e%2e/admin": "", "/%2E./x": "", "/.%2e/x": "",
		"/a%2fb": "", "/a%2Fb": "", "/a%5cb": "", "/a%00b": "", "/a%0d%0ab": "", "/%252e%252e/x": "", "/%252fx": "", "/%2541": "", "/a%25%32%66": "", "/a%255c": "", "/a%2500": "",
		"/..;/admin": "", "/v1/..;a=b/x": "", "/;/x": "", "/a/;x": "", "/a%3bb": "", "/a#b": "", "/a%23b": "", "/a%3fb": "", "/%c0%ae/x": "", "/%ff": "", "/%zz": "", "/%": "", "x": "", "": "",
	} {
		got, ok := readPath(raw)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", raw, got, ok)
		}
	}
}

func TestTheRawPathOfATarget(t *testing.T) {
	for target, want := range map[string]string{
		"/a/b?c=/d": "/a/b", "https://api.test/a/b?c": "/a/b", "https://api.test": "/", "https://api.test?x": "/", "/?x": "/", "*": "*", "/a?b=http://c/d": "/a", "/a://b": "/a://b",
	} {
		if got := rawPath(target); got != want {
			t.Errorf("%q: %q", target, got)
		}
	}
}

func TestAnEventsPathIsShortAndHasNoControlCharacters(t *testing.T) {
	got := shown("/\x00\n\x7f" + strings.Repeat("é", 200))
	if len(got) > shownBytes || got != "/"+strings.Repeat("é", 127) {
		t.Errorf("%d: %q", len(got), got)
	}
}

// FuzzPath: a path that is taken is what it is however often it is decoded and cleaned.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/v1/users", "/%2e%2e/", "/%252e", "/a;b/..;/c", "//", "/a%5c..%5cb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := readPath(raw)
		if !ok || got == "*" {
			return
		}
		if again, err := url.PathUnescape(got); err == nil && again != got {
			t.Errorf("%q is %q, and decoded again %q", raw, got, again)
		}
		var bare []string
		for _, segment := range strings.Split(got, "/") {
			name, _, _ := strings.Cut(segment, ";")
			bare = append(bare, name)
		}
		for _, form := range []string{got, strings.Join(bare, "/"), strings.ReplaceAll(got, `\`, "/")} {
			if cleaned := path.Clean(form); cleaned != form && cleaned+"/" != form {
				t.Errorf("%q is %q, and cleaned %q", raw, form, cleaned)
			}
		}
		if strings.ContainsAny(got, "\x00\r\n") {
			t.Errorf("%q has control characters", raw)
		}
	})
}
