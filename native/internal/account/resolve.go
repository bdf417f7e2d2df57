package account

import (
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// maxFileBytes bounds /etc/passwd and /etc/group.
const maxFileBytes = 1 << 20

// maxGroups bounds the supplementary groups of one user.
const maxGroups = 256

// Identity is whom a process runs as.
type Identity struct {
	User   User
	Groups []uint32
}

// Database answers from /etc/passwd and /etc/group and rereads them when they change.
type Database struct {
	root   string // in front of both; empty outside of tests
	mu     sync.Mutex
	stamp  [2]unix.Stat_t
	loaded bool
	users  []User
	groups []Group
}

// ownUID is the agent's own, which never changes.
var ownUID = sync.OnceValue(os.Geteuid)

// Resolve finds a name, a uid or uid:gid. An agent without root can only be itself.
func (d *Database) Resolve(who string) (Identity, error) {
	users, groups := d.load()
	identity, err := find(who, users, groups)
	if err != nil {
		return Identity{}, err
	}
	if own := ownUID(); own != 0 && identity.User.UID != uint32(own) {
		return Identity{}, fault.New(fault.Invalid, "user %q: only uid %d is possible in this sandbox", who, own)
	}
	return identity, nil
}

func find(who string, users []User, groups []Group) (Identity, error) {
	name, group, hasGroup := strings.Cut(who, ":")
	uid, numeric := parseID(name)
	for _, u := range users {
		if u.Name == name || numeric && u.UID == uid {
			if hasGroup {
				return withGroup(u, group, groups)
			}
			return Identity{User: u, Groups: supplementary(u, groups)}, nil
		}
	}
	u := User{Name: name, UID: uid, GID: uid, Home: "/"}
	if name == "root" {
		u.UID, u.GID, u.Home, numeric = 0, 0, "/root", true
	}
	if !numeric {
		return Identity{}, fault.New(fault.Invalid, "user %q does not exist", who)
	}
	if hasGroup {
		return withGroup(u, group, groups)
	}
	return Identity{User: u, Groups: []uint32{u.GID}}, nil
}

func withGroup(u User, group string, groups []Group) (Identity, error) {
	gid, ok := parseID(group)
	for _, g := range groups {
		if g.Name == group {
			gid, ok = g.GID, true
			break
		}
	}
	if !ok {
		return Identity{}, fault.New(fault.Invalid, "group %q does not exist", group)
	}
	u.GID = gid
	return Identity{User: u, Groups: []uint32{gid}}, nil
}

func supplementary(u User, groups []Group) []uint32 {
	found := []uint32{u.GID}
	for _, g := range groups {
		for _, member := range g.Members {
			if member == u.Name && g.GID != u.GID && len(found) < maxGroups {
				found = append(found, g.GID)
				break
			}
		}
	}
	return found
}

// Names gives the user's and the group's name, or their numbers.
func (d *Database) Names() (user, group func(id uint32) string) {
	users, groups := d.load()
	u := make(map[uint32]string, len(users))
	for i := len(users) - 1; i >= 0; i-- {
		u[users[i].UID] = users[i].Name
	}
	g := make(map[uint32]string, len(groups))
	for i := len(groups) - 1; i >= 0; i-- {
		g[groups[i].GID] = groups[i].Name
	}
	return nameOf(u), nameOf(g)
}

func (d *Database) load() ([]User, []Group) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var now [2]unix.Stat_t
	passwd, group := d.root+"/etc/passwd", d.root+"/etc/group"
	for i, name := range []string{passwd, group} {
		if unix.Lstat(name, &now[i]) != nil {
			now[i] = unix.Stat_t{}
		}
	}
	if d.loaded && same(&now[0], &d.stamp[0]) && same(&now[1], &d.stamp[1]) {
		return d.users, d.groups
	}
	d.loaded, d.stamp = true, now
	d.users, d.groups = nil, nil
	if text, err := path.ReadSmall(passwd, maxFileBytes); err == nil {
		d.users = ParseUsers(string(text))
	}
	if text, err := path.ReadSmall(group, maxFileBytes); err == nil {
		d.groups = ParseGroups(string(text))
	}
	return d.users, d.groups
}

func same(a, b *unix.Stat_t) bool {
	// A link's own stamp says nothing of its target: such files are read anew each time.
	return a.Mode&unix.S_IFMT != unix.S_IFLNK &&
		a.Ino == b.Ino && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim
}
