// Package archive makes a folder into a tar stream and a tar stream into a folder.
package archive

import (
	"compress/gzip"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"stacyvm/native/internal/fault"
)

// Compression of the stream around the tar.
type Compression string

const (
	Plain Compression = "none"
	Gzip  Compression = "gzip"
	Zstd  Compression = "zstd"
)

// maxWindowBytes bounds the memory that a zstd stream may ask for: what its level 19 asks for, and no `--long`.
const maxWindowBytes = 8 << 20

// writeWindowBytes is how far back the zstd writer looks.
const writeWindowBytes = 1 << 20

// ParseCompression reads a compression's name; none stands for no name.
func ParseCompression(name string) (Compression, error) {
	switch c := Compression(name); c {
	case "":
		return Plain, nil
	case Plain, Gzip, Zstd:
		return c, nil
	}
	return "", fault.New(fault.Invalid, "compression must be none, gzip or zstd: %q", name)
}

// MediaType is what an archive so compressed is served as.
func (c Compression) MediaType() string {
	switch c {
	case Gzip:
		return "application/gzip"
	case Zstd:
		return "application/zstd"
	}
	return "application/x-tar"
}

// Writer compresses, in the caller's own goroutine. Only Close makes the stream whole.
func (c Compression) Writer(to io.Writer) (io.WriteCloser, error) {
	switch c {
	case Gzip:
		return gzip.NewWriterLevel(to, gzip.BestSpeed)
	case Zstd:
		return zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(writeWindowBytes), zstd.WithLowerEncoderMem(true))
	}
	return plainWriter{to}, nil
}

// Reader decompresses, in the caller's own goroutine.
func (c Compression) Reader(from io.Reader) (io.ReadCloser, error) {
	switch c {
	case Gzip:
		return gzip.NewReader(from)
	case Zstd:
		decoder, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindowBytes))
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	}
	return io.NopCloser(from), nil
}

const (
	gzipMagic = "\x1f\x8b"
	zstdMagic = "\x28\xb5\x2f\xfd"
)

// compressionOf tells by a stream's first bytes.
func compressionOf(start []byte) Compression {
	switch {
	case strings.HasPrefix(string(start), gzipMagic):
		return Gzip
	case strings.HasPrefix(string(start), zstdMagic):
		return Zstd
	}
	return Plain
}

type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }
