package archive

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/files"
)

// bufferBytes is each buffer of one archive: what is read ahead, and one piece of a file.
const bufferBytes = 128 << 10

// Unpack says where an archive goes.
type Unpack struct {
	Limits bound.Limits
	Root   *os.File
	// Made says that the root was made for this archive: then the archive's entry of it counts.
	Made bool
	// Owner of everything; nil: whom the archive names, where the agent may give files away.
	Owner *files.Owner
}

// Unpacked is what was written, also where the rest failed.
type Unpacked struct {
	Entries int   `json:"entries"`
	Bytes   int64 `json:"bytes"`
}

type unpacker struct {
	Unpack
	folder  folder
	targets folder
	owns    owns
	buffer  []byte
	later   []attributes
	kept    int
	done    Unpacked
}

// Decompress is Run over a stream that is compressed. One that says to be of another form is told so.
func (u Unpack) Decompress(source io.Reader, compression Compression) (Unpacked, error) {
	buffered := bufio.NewReaderSize(source, bufferBytes)
	start, _ := buffered.Peek(len(zstdMagic))
	if found := compressionOf(start); found != compression && found != Plain {
		return Unpacked{}, fault.New(fault.Invalid, "the archive's compression is %s, not %s", found, compression)
	}
	plain, err := compression.Reader(buffered)
	if err != nil {
		return Unpacked{}, fault.New(fault.Invalid, "the archive is no %s: %s", compression, err)
	}
	defer func() { _ = plain.Close() }()
	return u.Run(plain)
}

// Run writes every entry, a file under its name only once it is whole. At the first entry that is refused or fails it
// stops; what was written stays.
func (u Unpack) Run(source io.Reader) (Unpacked, error) {
	root := int(u.Root.Fd())
	w := &unpacker{Unpack: u, owns: ownsOf(u.Owner), buffer: make([]byte, bufferBytes)}
	w.folder = folder{root: root, mkdir: w.mkdir}
	w.targets = folder{root: root}
	defer w.folder.close()
	defer w.targets.close()
	in := &input{source: bufio.NewReaderSize(source, bufferBytes), limit: u.Limits.ArchiveHeaderBytes}
	err := w.entries(in)
	w.settle()
	if failed := (*fault.Error)(nil); errors.As(err, &failed) {
		failed.Message += "; entries written before: " + strconv.Itoa(w.done.Entries)
	}
	return w.done, err
}

func (u *unpacker) entries(in *input) error {
	reader := tar.NewReader(in)
	for seen := 0; ; seen++ {
		in.header()
		header, err := reader.Next()
		if err == io.EOF {
			return explain(in, in.ended())
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return explain(in, err)
		}
		if seen == u.Limits.ArchiveEntries {
			return fault.Exceeds("archive-entries", u.Limits.ArchiveEntries)
		}
		in.content()
		written, err := u.entry(header, reader)
		if err != nil {
			return u.at(in, header.Name, err)
		}
		if written {
			u.done.Entries++
		}
	}
}

func (u *unpacker) entry(header *tar.Header, content io.Reader) (written bool, err error) {
	if header.Typeflag == tar.TypeXGlobalHeader {
		return false, nil
	}
	names, err := parts(header.Name, u.Limits.PathBytes)
	if err != nil {
		return false, err
	}
	if header.Typeflag == tar.TypeDir {
		return true, u.directory(names, header)
	}
	if len(names) == 0 {
		return false, fault.New(fault.Invalid, "only a directory may stand for the folder itself")
	}
	dir, err := u.folder.open(names[:len(names)-1])
	if err != nil {
		return false, err
	}
	name := names[len(names)-1]
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		err = u.file(dir, name, header, content)
	case tar.TypeSymlink:
		err = u.symlink(dir, name, header)
	case tar.TypeLink:
		err = u.link(dir, name, header)
	case tar.TypeChar, tar.TypeBlock:
		err = fault.New(fault.Invalid, "is a device; files, directories and links are unpacked")
	case tar.TypeFifo:
		err = fault.New(fault.Invalid, "is a FIFO; files, directories and links are unpacked")
	default:
		err = fault.New(fault.Invalid, "is of the kind %q; files, directories and links are unpacked", header.Typeflag)
	}
	return err == nil, err
}

// at names the entry. Space, permissions and bounds stay what they are; everything else is the archive's fault.
func (u *unpacker) at(in *input, name string, err error) error {
	named := "entry " + shown(name)
	err = explain(in, err)
	failed := fault.Error{Kind: fault.KindOf(err), Message: fault.At(named, err).Error(), Cause: err}
	if known := (*fault.Error)(nil); errors.As(err, &known) {
		failed.Message = named + ": " + known.Message
	}
	switch failed.Kind {
	case fault.NoSpace, fault.Denied, fault.Exhausted, fault.Internal:
	default:
		failed.Kind = fault.Invalid
	}
	return &failed
}

// explain tells a stream that is damaged or cut short from what failed here.
func explain(in *input, err error) error {
	var known *fault.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(in.failed, io.ErrUnexpectedEOF):
		return fault.New(fault.Invalid, "the archive is cut short")
	case in.failed != nil:
		return fault.New(fault.Invalid, "the archive can't be read: %s", in.failed)
	case errors.Is(err, tar.ErrHeader) || errors.Is(err, tar.ErrFieldTooLong):
		return fault.New(fault.Invalid, "is no tar, or is damaged here")
	}
	return err
}

func (u *unpacker) mkdir(dir int, name string) error {
	if err := unix.Mkdirat(dir, name, 0o755); err != nil {
		return err
	}
	if u.Owner != nil {
		_ = unix.Fchownat(dir, name, int(u.Owner.UID), int(u.Owner.GID), unix.AT_SYMLINK_NOFOLLOW)
	}
	return nil
}

// keep counts what is remembered of one entry against its bound.
func (u *unpacker) keep(bytes int) error {
	if u.kept += bytes + keptSlackBytes; u.kept > u.Limits.ArchiveKeptBytes {
		return fault.Exceeds("archive-kept-bytes", u.Limits.ArchiveKeptBytes)
	}
	return nil
}
