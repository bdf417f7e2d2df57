// Package account resolves users and groups from the sandbox's own /etc, whose content is hostile.
package account

import (
	"strconv"
	"strings"
)

// User is one line of /etc/passwd.
type User struct {
	Name  string
	UID   uint32
	GID   uint32
	Home  string
	Shell string
}

// Group is one line of /etc/group.
type Group struct {
	Name    string
	GID     uint32
	Members []string
}

// maxID keeps out -1, which the kernel reads as "unchanged".
const maxID = 1<<32 - 2

// maxLines bounds the entries of either file.
const maxLines = 20_000

// ParseUsers reads /etc/passwd; lines that make no sense are skipped.
func ParseUsers(text string) []User {
	var users []User
	for range maxLines {
		line, rest, more := strings.Cut(text, "\n")
		text = rest
		f := strings.Split(line, ":")
		if len(f) == 7 && plain(f[0]) {
			uid, ok1 := parseID(f[2])
			gid, ok2 := parseID(f[3])
			if ok1 && ok2 {
				users = append(users, User{Name: f[0], UID: uid, GID: gid, Home: f[5], Shell: f[6]})
			}
		}
		if !more {
			break
		}
	}
	return users
}

// ParseGroups reads /etc/group; lines that make no sense are skipped.
func ParseGroups(text string) []Group {
	var groups []Group
	for range maxLines {
		line, rest, more := strings.Cut(text, "\n")
		text = rest
		f := strings.Split(line, ":")
		if len(f) == 4 && plain(f[0]) {
			if gid, ok := parseID(f[2]); ok {
				groups = append(groups, Group{Name: f[0], GID: gid, Members: strings.Split(f[3], ",")})
			}
		}
		if !more {
			break
		}
	}
	return groups
}

func plain(name string) bool {
	return name != "" && len(name) <= 256 && !strings.ContainsAny(name, "\x00\r/") && name[0] != '#'
}

func parseID(text string) (uint32, bool) {
	if text == "" || text[0] == '+' {
		return 0, false
	}
	id, err := strconv.ParseUint(text, 10, 32)
	return uint32(id), err == nil && id <= maxID
}
