package archive

import (
	"archive/tar"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/files"
)

// keptSlackBytes is what remembering one name costs beside its bytes.
const keptSlackBytes = 128

// attributes of a directory are set when nothing more is written into it.
type attributes struct {
	names  []string
	header *tar.Header
}

// owns says whom files are given to.
type owns struct {
	uid, gid uint32
	// fixed: to this one, whatever the archive says.
	fixed bool
}

func ownsOf(owner *files.Owner) owns {
	if owner != nil {
		return owns{owner.UID, owner.GID, true}
	}
	return owns{uint32(os.Geteuid()), uint32(os.Getegid()), false}
}

// give sets the owner and says which permission bits go with it: setuid and setgid only with the archive's own owner.
func (o owns) give(header *tar.Header, chown func(uid, gid int) error) (mode uint32, err error) {
	mode = uint32(header.Mode & 0o7777)
	if o.fixed {
		return mode &^ 0o6000, chown(int(o.uid), int(o.gid))
	}
	if header.Uid == int(o.uid) && header.Gid == int(o.gid) {
		return mode, nil
	}
	if !canBeID(header.Uid) || !canBeID(header.Gid) || chown(header.Uid, header.Gid) != nil {
		return mode &^ 0o6000, nil
	}
	return mode, nil
}

// canBeID keeps out -1, which the kernel reads as "unchanged".
func canBeID(id int) bool { return id >= 0 && id < 1<<32-1 }

func times(header *tar.Header) []unix.Timespec {
	at := header.ModTime
	if at.IsZero() {
		at = time.Unix(0, 0)
	}
	t := unix.Timespec{Sec: at.Unix(), Nsec: int64(at.Nanosecond())}
	return []unix.Timespec{t, t}
}

// settle gives directories their attributes, those last seen first: a parent may shut its children off. What vanished
// meanwhile is left.
func (u *unpacker) settle() {
	settled := folder{root: u.folder.root}
	defer settled.close()
	for i := len(u.later) - 1; i >= 0; i-- {
		fd, err := settled.open(u.later[i].names)
		if err != nil {
			continue
		}
		header := u.later[i].header
		mode, _ := u.owns.give(header, func(uid, gid int) error { return unix.Fchown(fd, uid, gid) })
		_ = unix.UtimesNanoAt(fd, ".", times(header), 0)
		_ = unix.Fchmod(fd, mode)
	}
}
