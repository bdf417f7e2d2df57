package archive

import (
	"archive/tar"
	"bufio"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// namesAtOnce is how many names of one directory are held at a time.
const namesAtOnce = 256

// Pack makes an archive.
type Pack struct {
	Limits bound.Limits
}

// Packed counts what an archive has, and what it lacks: sockets, FIFOs, devices, and what can't be read.
type Packed struct {
	Entries int
	Skipped int
}

type packer struct {
	Pack
	out    *tar.Writer
	buffer []byte
	// linked are the names of files that have more than one.
	linked map[inode]string
	kept   int
	done   Packed
}

type inode struct{ dev, ino uint64 }

// Directory writes all that is below an open directory, with names relative to it. Where it fails the archive has no end.
func (p Pack) Directory(dir *os.File, to io.Writer) (Packed, error) {
	return p.write(to, func(w *packer) error {
		var st unix.Stat_t
		if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
			return err
		}
		if err := w.header("./", &st, tar.TypeDir, ""); err != nil {
			return err
		}
		return w.below(dir, "", st.Dev, maxDepth)
	})
}

// File writes an archive of one open file.
func (p Pack) File(file *os.File, name string, to io.Writer) (Packed, error) {
	return p.write(to, func(w *packer) error {
		var st unix.Stat_t
		if err := unix.Fstat(int(file.Fd()), &st); err != nil {
			return err
		}
		return w.file(int(file.Fd()), name, &st)
	})
}

func (p Pack) write(to io.Writer, entries func(*packer) error) (Packed, error) {
	buffered := bufio.NewWriterSize(to, bufferBytes)
	w := &packer{Pack: p, out: tar.NewWriter(buffered), buffer: make([]byte, bufferBytes), linked: map[inode]string{}}
	err := entries(w)
	if err == nil {
		err = w.out.Close()
	}
	if err == nil {
		err = buffered.Flush()
	}
	return w.done, err
}

func (p *packer) below(dir *os.File, prefix string, dev uint64, depth int) error {
	for {
		names, err := dir.Readdirnames(namesAtOnce)
		for _, name := range names {
			if err := p.entry(int(dir.Fd()), name, prefix+name, dev, depth); err != nil {
				return fault.At("entry "+shown(prefix+name), err)
			}
		}
		if err == io.EOF || err == nil && len(names) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// entry writes one name. What vanishes meanwhile was never there.
func (p *packer) entry(dir int, name, full string, dev uint64, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return p.skip(err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return p.directory(dir, name, full, dev, depth)
	case unix.S_IFLNK:
		target, err := path.Readlink(dir, name)
		if err != nil {
			return p.skip(err)
		}
		return p.header(full, &st, tar.TypeSymlink, target)
	case unix.S_IFREG:
		fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if err != nil {
			return p.skip(err)
		}
		defer func() { _ = unix.Close(fd) }()
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFREG {
			return p.file(fd, full, &st)
		}
	}
	p.done.Skipped++
	return nil
}

func (p *packer) skip(err error) error {
	switch err {
	case unix.ENOENT:
		return nil
	case unix.EACCES, unix.EPERM, unix.ELOOP, unix.ENXIO, unix.ENOTDIR, unix.EINVAL:
		p.done.Skipped++
		return nil
	}
	return err
}

// directory writes a directory and what is in it, unless the kernel makes it up: what /proc has is no content.
func (p *packer) directory(dir int, name, full string, dev uint64, depth int) error {
	if depth == 0 {
		return fault.New(fault.Exhausted, "stands below more than %d directories", maxDepth)
	}
	fd, err := path.OpenDirectoryAt(dir, name)
	if err != nil {
		return p.skip(err)
	}
	sub := os.NewFile(uintptr(fd), name)
	defer func() { _ = sub.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if err := p.header(full+"/", &st, tar.TypeDir, ""); err != nil {
		return err
	}
	if st.Dev != dev && path.MadeByKernel(fd) {
		return nil
	}
	return p.below(sub, full+"/", st.Dev, depth-1)
}

func (p *packer) file(fd int, name string, st *unix.Stat_t) error {
	if st.Nlink > 1 {
		key := inode{st.Dev, st.Ino}
		if first, seen := p.linked[key]; seen {
			return p.header(name, st, tar.TypeLink, first)
		}
		// Beyond the bound a further name is a further file.
		if p.kept += len(name) + keptSlackBytes; p.kept <= p.Limits.ArchiveKeptBytes {
			p.linked[key] = name
		}
	}
	if err := p.header(name, st, tar.TypeReg, ""); err != nil {
		return err
	}
	return p.content(fd, st.Size)
}

// content sends as many bytes as the header said: of a file that grew no more, for one that shrank zeros.
func (p *packer) content(fd int, size int64) error {
	ended := false
	for size > 0 {
		piece := p.buffer[:min(size, int64(len(p.buffer)))]
		n := 0
		if !ended {
			var err error
			if n, err = unix.Read(fd, piece); err == unix.EINTR {
				continue
			} else if err != nil {
				return err
			}
		}
		if n == 0 {
			ended = true
			clear(piece)
			n = len(piece)
		}
		if _, err := p.out.Write(piece[:n]); err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

func (p *packer) header(name string, st *unix.Stat_t, kind byte, target string) error {
	if p.done.Entries == p.Limits.ArchiveEntries {
		return fault.Exceeds("archive-entries", p.Limits.ArchiveEntries)
	}
	p.done.Entries++
	header := &tar.Header{
		// Of the forms that go round this one takes any bytes as a name.
		Format: tar.FormatGNU, Typeflag: kind, Name: name, Linkname: target, Mode: int64(st.Mode & 0o7777),
		Uid: int(st.Uid), Gid: int(st.Gid), ModTime: time.Unix(st.Mtim.Sec, 0),
	}
	if kind == tar.TypeReg {
		header.Size = st.Size
	}
	return p.out.WriteHeader(header)
}
