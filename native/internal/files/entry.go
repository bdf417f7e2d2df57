// Package files works on the sandbox's file system, one operation per file.
package files

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/account"
	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// Files works within limits and names owners from a database.
type Files struct {
	Limits   bound.Limits
	Accounts *account.Database
}

// Entry describes one name. Text that isn't UTF-8 has U+FFFD in its place.
type Entry struct {
	Name       string
	Path       string
	Kind       Kind
	Size       int64
	Mode       uint32
	Perms      string
	Owner      string
	Group      string
	Modified   time.Time
	LinkTarget string
	IsLink     bool
	Metadata   map[string]string
}

// Kind of an entry. The numbers are those of the wire; devices, sockets and FIFOs have none.
type Kind int

const (
	Other     Kind = 0
	File      Kind = 1
	Directory Kind = 2
	Symlink   Kind = 3
)

// Stat describes one path; a symlink is described itself.
func (f *Files) Stat(name string) (Entry, error) {
	place, err := path.Find(name, false)
	if err != nil {
		return Entry{}, err
	}
	defer place.Close()
	e, err := f.describer().at(place.Fd(), place.Name, place.Full)
	return e, fault.At(name, err)
}

type describer struct{ user, group func(uint32) string }

func (f *Files) describer() describer {
	user, group := f.Accounts.Names()
	return describer{user, group}
}

func (d describer) at(dir int, name, full string) (Entry, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return Entry{}, err
	}
	e := Entry{
		Name: text(full[strings.LastIndexByte(full, '/')+1:]), Path: text(full), Size: st.Size,
		Mode: st.Mode & 0o7777, Perms: permissions(st.Mode), Owner: text(d.user(st.Uid)), Group: text(d.group(st.Gid)),
		Modified: time.Unix(st.Mtim.Sec, st.Mtim.Nsec),
	}
	if full == "/" {
		e.Name = "/"
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Kind = File
		e.Metadata = readMetadata(dir, name)
	case unix.S_IFDIR:
		e.Kind = Directory
	case unix.S_IFLNK:
		e.Kind, e.IsLink = Symlink, true
		target, _ := path.Readlink(dir, name)
		e.LinkTarget = text(target)
	}
	return e, nil
}

func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func permissions(mode uint32) string {
	kind := map[uint32]byte{
		unix.S_IFDIR: 'd', unix.S_IFLNK: 'l', unix.S_IFIFO: 'p', unix.S_IFSOCK: 's', unix.S_IFCHR: 'c', unix.S_IFBLK: 'b',
	}[mode&unix.S_IFMT]
	if kind == 0 {
		kind = '-'
	}
	out := []byte(string(kind) + os.FileMode(mode & 0o777).Perm().String()[1:])
	special := func(bit uint32, at int, with, without byte) {
		if mode&bit == 0 {
			return
		}
		if out[at] == 'x' {
			out[at] = with
		} else {
			out[at] = without
		}
	}
	special(unix.S_ISUID, 3, 's', 'S')
	special(unix.S_ISGID, 6, 's', 'S')
	special(unix.S_ISVTX, 9, 't', 'T')
	return string(out)
}
