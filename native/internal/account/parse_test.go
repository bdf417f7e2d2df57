package account

import (
	"strings"
	"testing"
)

func TestLinesThatMakeNoSenseAreSkipped(t *testing.T) {
	users := ParseUsers("root:x:0:0:root:/root:/bin/sh\n#no:x:1:1::/:\nbad:x:-1:0::/:\nmax:x:4294967295:0::/:\nshort:x:1\nalice:x:1000:1000:,,,:/home/alice:")
	if len(users) != 2 || users[1].Name != "alice" || users[1].UID != 1000 {
		t.Errorf("%+v", users)
	}
}

func TestAUserIsFoundByNameNumberAndPair(t *testing.T) {
	users := ParseUsers("root:x:0:0::/root:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh")
	groups := ParseGroups("root:x:0:\nalice:x:1001:\nwheel:x:10:bob,alice")
	for who, want := range map[string][2]uint32{"alice": {1000, 1001}, "1000": {1000, 1001}, "0:10": {0, 10}, "alice:wheel": {1000, 10}, "77": {77, 77}} {
		got, err := find(who, users, groups)
		if err != nil || got.User.UID != want[0] || got.User.GID != want[1] {
			t.Errorf("%s: %+v %v", who, got, err)
		}
	}
	if got, _ := find("alice", users, groups); len(got.Groups) != 2 || got.Groups[1] != 10 {
		t.Errorf("groups %v", got.Groups)
	}
	for _, who := range []string{"mallory", "alice:nogroup", "-1", "4294967295", "", ":", "+1"} {
		if got, err := find(who, users, groups); err == nil {
			t.Errorf("%q became %+v", who, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("root:x:0:0:root:/root:/bin/sh\n")
	f.Add("wheel:x:10:a,b\n:::::\n\x00:x:1:1:::")
	f.Fuzz(func(t *testing.T, text string) {
		for _, u := range ParseUsers(text) {
			if u.Name == "" || u.UID > maxID || strings.ContainsAny(u.Name, "\n:\x00") {
				t.Errorf("%+v", u)
			}
		}
		for _, g := range ParseGroups(text) {
			if g.Name == "" || g.GID > maxID {
				t.Errorf("%+v", g)
			}
		}
		_, _ = find(text, ParseUsers(text), ParseGroups(text))
	})
}
