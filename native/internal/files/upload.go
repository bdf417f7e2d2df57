package files

import (
	"encoding/hex"
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
)

// UploadConflict says that a request doesn't fit how far an upload has come.
type UploadConflict struct {
	State UploadState
	Why   string
}

func (e *UploadConflict) Error() string { return e.Why }

// ErrChecksum says that the bytes which arrived are not those that the caller meant.
var ErrChecksum = errors.New("the bytes that arrived have another checksum")

// Append adds a body at the offset, which must be the present one. What arrived before a failure stays: the state tells
// how much that is, with an error too.
func (u *Uploads) Append(id string, offset int64, body io.Reader) (UploadState, error) {
	up, err := u.take(id)
	if err != nil {
		return UploadState{}, err
	}
	defer up.busy.Unlock()
	if state := up.now(); offset != state.Offset {
		return state, &UploadConflict{state, "the upload is at another offset"}
	}
	err = up.receive(body)
	return up.touch(u.idle()), fault.At(up.write.Path, err)
}

func (up *upload) receive(body io.Reader) error {
	buf := copyBuffers.Get().(*[copyBytes]byte)
	defer copyBuffers.Put(buf)
	for {
		n, readErr := body.Read(buf[:])
		if room := up.size - up.offset; up.size != UnknownSize && int64(n) > room {
			if err := up.put(buf[:room]); err != nil {
				return err
			}
			return fault.New(fault.Invalid, "more bytes than the announced size (%d)", up.size)
		}
		if err := up.put(buf[:n]); err != nil {
			return err
		}
		if readErr == io.EOF {
			return nil
		}
		if readErr != nil {
			return readErr
		}
	}
}

// put writes and counts; where the disk is full it counts the part that went in.
func (up *upload) put(bytes []byte) error {
	n, err := up.file.WriteAt(bytes, up.offset)
	_, _ = up.sum.Write(bytes[:n])
	up.state.Lock()
	defer up.state.Unlock()
	up.offset += int64(n)
	return err
}

// Commit puts the file under its name, whole, and forgets the upload. A failure changes nothing. An empty checksum
// (SHA-256 in hex) is not compared. Asked again after it succeeded it answers the same and touches no file.
func (u *Uploads) Commit(id, checksum string) (size int64, sum string, err error) {
	up, err := u.take(id)
	if err != nil {
		if done, known := u.recall(id); known {
			return done.size, done.sum, compare(checksum, done.sum)
		}
		return 0, "", err
	}
	defer up.busy.Unlock()
	if state := up.now(); up.size != UnknownSize && state.Offset != up.size {
		return 0, "", &UploadConflict{state, "fewer bytes than the announced size have arrived"}
	}
	sum = hex.EncodeToString(up.sum.Sum(nil))
	if err := compare(checksum, sum); err != nil {
		return 0, "", err
	}
	if err := u.place(up); err != nil {
		return 0, "", fault.At(up.write.Path, err)
	}
	u.remember(committed{id: id, sum: sum, size: up.offset})
	u.remove(id, up)
	return up.offset, sum, nil
}

func compare(wanted, sum string) error {
	if wanted != "" && wanted != sum {
		return ErrChecksum
	}
	return nil
}

// place renames. The destination is looked up anew: what it is now decides, not what it was at the beginning.
func (u *Uploads) place(up *upload) error {
	if err := u.files.makeParents(up.write.Path, up.write.Owner); err != nil {
		return err
	}
	place, old, err := writable(up.write.Path)
	if err != nil {
		return err
	}
	defer place.Close()
	if !up.holdsName() {
		return fault.New(fault.Precondition, "%s: the partial file was removed inside the sandbox", up.write.Path)
	}
	if err := dress(up.file, up.write, old); err != nil {
		return err
	}
	err = unix.Renameat(up.place.Fd(), up.temporary, place.Fd(), place.Name)
	if err == unix.EXDEV {
		return fault.New(fault.Precondition, "%s: is on another file system than when the upload began", up.write.Path)
	}
	return err
}

// holdsName tells whether the temporary name is still this upload's file: others inside may have put something else there.
func (up *upload) holdsName() bool {
	var own, named unix.Stat_t
	return unix.Fstat(int(up.file.Fd()), &own) == nil &&
		unix.Fstatat(up.place.Fd(), up.temporary, &named, unix.AT_SYMLINK_NOFOLLOW) == nil &&
		own.Dev == named.Dev && own.Ino == named.Ino
}

func (up *upload) now() UploadState {
	up.state.Lock()
	defer up.state.Unlock()
	return UploadState{Offset: up.offset, Size: up.size, Expires: up.expires}
}

// touch begins the time of waiting anew.
func (up *upload) touch(idle time.Duration) UploadState {
	up.state.Lock()
	up.expires = time.Now().Add(idle)
	up.state.Unlock()
	up.timer.Reset(idle)
	return up.now()
}
