package files

import (
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// copyBytes is the buffer of one transfer.
const copyBytes = 256 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBytes]byte) }}

// Write describes a file to be written.
type Write struct {
	Path string
	// Mode of the file; nil keeps that of the file replaced, or 0644.
	Mode     *uint32
	Owner    *Owner
	Metadata map[string]string
	Body     io.Reader
}

// Write streams a body to a temporary name in the same directory and renames it into place: a reader sees the old
// content or the new, never a part. A symlink is written through.
func (f *Files) Write(w Write) (Entry, error) {
	if err := f.checkMetadata(w.Metadata); err != nil {
		return Entry{}, err
	}
	if n := len(w.Path); n > 0 && w.Path[n-1] == '/' {
		return Entry{}, fault.New(fault.Invalid, "%s: is a directory", w.Path)
	}
	if err := f.makeParents(w.Path, w.Owner); err != nil {
		return Entry{}, err
	}
	place, old, err := writable(w.Path)
	if err != nil {
		return Entry{}, err
	}
	defer place.Close()
	temporary := temporaryName()
	file, err := openAt(place.Fd(), temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return Entry{}, fault.At(w.Path, err)
	}
	err = fill(file, w, old)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = unix.Renameat(place.Fd(), temporary, place.Fd(), place.Name)
	}
	if err != nil {
		_ = unix.Unlinkat(place.Fd(), temporary, 0)
		return Entry{}, fault.At(w.Path, err)
	}
	return f.describer().at(place.Fd(), place.Name, place.Full)
}

// writable finds where a file may be put, and what stands there now; old is nil where nothing does.
func writable(name string) (place *path.Place, old *unix.Stat_t, err error) {
	if place, err = path.Find(name, true); err != nil {
		return nil, nil, err
	}
	old, err = path.StatAt(place)
	switch {
	case err == unix.ENOENT:
		return place, nil, nil
	case err != nil:
		err = fault.At(name, err)
	case place.Name == "." || old.Mode&unix.S_IFMT == unix.S_IFDIR:
		err = fault.New(fault.Invalid, "%s: is a directory", name)
	case old.Mode&unix.S_IFMT != unix.S_IFREG:
		err = fault.New(fault.Invalid, "%s: is not a regular file", name)
	default:
		return place, old, nil
	}
	place.Close()
	return nil, nil, err
}

func fill(file *os.File, w Write, old *unix.Stat_t) error {
	buf := copyBuffers.Get().(*[copyBytes]byte)
	_, err := io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{w.Body}, buf[:])
	copyBuffers.Put(buf)
	if err != nil {
		return err
	}
	return dress(file, w, old)
}

// dress gives a file's owner, mode and metadata to what will replace it.
func dress(file *os.File, w Write, old *unix.Stat_t) error {
	mode := uint32(0o644)
	if old != nil {
		mode = old.Mode & 0o7777
	}
	if w.Mode != nil {
		mode = *w.Mode
	}
	fd := int(file.Fd())
	var err error
	switch {
	case w.Owner != nil:
		err = unix.Fchown(fd, int(w.Owner.UID), int(w.Owner.GID))
	case old != nil && (old.Uid != uint32(os.Geteuid()) || old.Gid != uint32(os.Getegid())):
		// Where the agent may not give files away the new file is its own, as with any editor.
		_ = unix.Fchown(fd, int(old.Uid), int(old.Gid))
	}
	if err != nil {
		return err
	}
	// After chown, which clears setuid.
	if err := unix.Fchmod(fd, mode); err != nil {
		return err
	}
	return writeMetadata(fd, w.Metadata)
}

func (f *Files) checkMetadata(metadata map[string]string) error {
	if len(metadata) > f.Limits.MetadataCount {
		return fault.Exceeds("metadata-count", f.Limits.MetadataCount)
	}
	total := 0
	for key, value := range metadata {
		total += len(key) + len(value)
	}
	if total > f.Limits.MetadataBytes {
		return fault.Exceeds("metadata-bytes", f.Limits.MetadataBytes)
	}
	return nil
}
