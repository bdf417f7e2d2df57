package account

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestEachBoundOfUsersAndGroupsHolds(t *testing.T) {
	lines := func(n int, line string) string { return strings.TrimSuffix(strings.Repeat(line+"\n", n), "\n") }
	for n, want := range map[int]int{maxLines: maxLines, maxLines + 1: maxLines} {
		if got := len(ParseUsers(lines(n, "a:x:1:1::/:"))); got != want {
			t.Errorf("%d lines are %d users", n, got)
		}
		if got := len(ParseGroups(lines(n, "a:x:1:"))); got != want {
			t.Errorf("%d lines are %d groups", n, got)
		}
	}
	// The own group is the first of them.
	for n, want := range map[int]int{maxGroups - 1: maxGroups, maxGroups: maxGroups} {
		var groups []Group
		for i := range n {
			groups = append(groups, Group{Name: fmt.Sprint(i), GID: uint32(1000 + i), Members: []string{"me"}})
		}
		got, err := find("me", []User{{Name: "me", UID: 1, GID: 1}}, groups)
		if err != nil || len(got.Groups) != want {
			t.Errorf("%d further groups are %d, %v", n, len(got.Groups), err)
		}
	}
}

func TestAFileOneByteLargerThanItsBoundNamesNobody(t *testing.T) {
	d := &Database{root: t.TempDir()}
	if err := os.Mkdir(d.root+"/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, line string, size int) {
		if err := os.WriteFile(d.root+"/etc/"+name, []byte(line+strings.Repeat("#", size-len(line))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for size, known := range map[int]bool{maxFileBytes: true, maxFileBytes + 1: false} {
		write("passwd", "me:x:77:77::/:/bin/sh\n", size)
		write("group", "ours:x:78:\n", size)
		if got, err := d.Resolve(fmt.Sprint(os.Geteuid())); err != nil {
			t.Errorf("a number: %v %v", got, err)
		}
		user, group := d.Names()
		if (user(77) == "me") != known || (group(78) == "ours") != known {
			t.Errorf("%d bytes: %s %s", size, user(77), group(78))
		}
	}
}
