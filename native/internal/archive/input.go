package archive

import (
	"io"

	"stacyvm/native/internal/fault"
)

// blockSize is the unit of a tar.
const blockSize = 512

// maxBehindBytes bounds what may stand behind an archive's end: tar programs fill up to a block of their own.
const maxBehindBytes = 1 << 20

// input is a tar's bytes on their way to the reader: it bounds headers and knows whether the end was the archive's own.
type input struct {
	source io.Reader
	limit  int
	// room is what the header under way may still take; content has no bound but the disk.
	room     int
	inHeader bool
	// zeros is how many bytes before this one were zero: the end is a block of them.
	zeros  int
	failed error
}

func (in *input) header() { in.inHeader, in.room, in.zeros = true, in.limit, 0 }

func (in *input) content() { in.inHeader = false }

func (in *input) Read(p []byte) (int, error) {
	if in.inHeader {
		if in.room == 0 {
			in.failed = fault.Exceeds("archive-header-bytes", in.limit)
			return 0, in.failed
		}
		p = p[:min(len(p), in.room)]
	}
	n, err := in.source.Read(p)
	if in.inHeader {
		in.room -= n
		if allZero(p[:n]) {
			in.zeros += n
		} else {
			in.zeros = 0
		}
	}
	if err != nil && err != io.EOF {
		in.failed = err
	}
	return n, err
}

// ended reads what stands behind the archive's end, so that a checksum there is looked at.
func (in *input) ended() error {
	if in.zeros < blockSize {
		return io.ErrUnexpectedEOF
	}
	in.content()
	n, err := io.Copy(io.Discard, io.LimitReader(in, maxBehindBytes+1))
	if err == nil && n > maxBehindBytes {
		err = fault.New(fault.Invalid, "more than %d bytes stand behind the archive's end", maxBehindBytes)
	}
	return err
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}
