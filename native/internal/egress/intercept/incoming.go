package intercept

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// maxWindowBytes bounds what a compressed answer may refer back to.
const maxWindowBytes = 8 << 20

// errCoding is a response in which no secrets can be looked for.
var errCoding = errors.New("the response has a coding that isn't read")

// receive masks the target's secrets in a response.
func (x *exchange) receive(response *http.Response) error {
	if x.hasPlaceholder.Load() {
		return errPlaceholder
	}
	if x.sweep.masker == nil && !x.config.hasPlaceholders() {
		return nil
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		if both, ok := response.Body.(io.ReadWriteCloser); ok {
			response.Body = x.upgrade(response.Header, both)
		}
		return nil
	}
	if x.sweep.masker == nil {
		return nil
	}
	if err := decode(response); err != nil {
		return err
	}
	x.maskHeader(response.Header)
	body := newMaskingReader(response.Body, x.sweep, func() {
		x.maskHeader(response.Trailer)
		x.endMasking()
	})
	body.isEager = strings.HasPrefix(response.Header.Get("Content-Type"), "application/grpc")
	response.Body = body
	return nil
}

// maskHeader masks the values of headers. One whose name is a secret is left out.
func (x *exchange) maskHeader(header http.Header) {
	for name, values := range header {
		switch {
		case x.sweep.inName(name):
			delete(header, name)
			continue
		case name == "Content-Length":
			// The transport has read it: it is a number, and true.
			continue
		}
		for i := range values {
			values[i] = x.sweep.text(values[i])
		}
	}
}

// decode makes a compressed response one that isn't.
func decode(response *http.Response) error {
	codings := response.Header.Values("Content-Encoding")
	coding := strings.ToLower(strings.TrimSpace(strings.Join(codings, ",")))
	if coding == "" || coding == "identity" || response.Body == nil || response.Body == http.NoBody || response.Request.Method == http.MethodHead ||
		response.ContentLength == 0 || response.StatusCode == http.StatusNoContent || response.StatusCode == http.StatusNotModified {
		return nil
	}
	open := decoders[coding]
	if open == nil || response.StatusCode == http.StatusPartialContent {
		return errCoding
	}
	response.Body = &decodedBody{from: response.Body, open: open}
	response.Header.Del("Content-Encoding")
	response.Header.Del("Content-Length")
	response.ContentLength = -1
	return nil
}

var decoders = map[string]func(*bufio.Reader) (io.Reader, error){
	"gzip": openGzip, "x-gzip": openGzip, "deflate": openDeflate, "zstd": openZstd,
}

func openGzip(from *bufio.Reader) (io.Reader, error) { return gzip.NewReader(from) }

// openDeflate reads zlib's format, or what some servers send under its name: without the two bytes in front.
func openDeflate(from *bufio.Reader) (io.Reader, error) {
	front, err := from.Peek(2)
	if err != nil {
		return nil, err
	}
	if front[0]&15 == 8 && (uint(front[0])<<8|uint(front[1]))%31 == 0 {
		return zlib.NewReader(from)
	}
	return flate.NewReader(from), nil
}

func openZstd(from *bufio.Reader) (io.Reader, error) {
	decoder, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindowBytes))
	if err != nil {
		return nil, err
	}
	return decoder.IOReadCloser(), nil
}

// decodedBody decodes as it is read: the head of a response isn't held back until its body begins.
type decodedBody struct {
	from io.ReadCloser
	open func(*bufio.Reader) (io.Reader, error)
	to   io.Reader
}

func (b *decodedBody) Read(to []byte) (int, error) {
	if b.to == nil {
		opened, err := b.open(bufio.NewReader(b.from))
		if err != nil {
			return 0, err
		}
		b.to = opened
	}
	return b.to.Read(to)
}

func (b *decodedBody) Close() error {
	if closer, ok := b.to.(io.Closer); ok {
		_ = closer.Close()
	}
	return b.from.Close()
}

// upgrade looks into a connection both ways that has become something else than HTTP.
func (x *exchange) upgrade(header http.Header, both io.ReadWriteCloser) io.ReadWriteCloser {
	if x.sweep.masker == nil {
		return &upgraded{both, both, x, Finder{}}
	}
	x.maskHeader(header)
	reader := newMaskingReader(both, x.sweep, nil)
	reader.isEager = true
	return &upgraded{reader, both, x, Finder{}}
}

type upgraded struct {
	io.ReadCloser
	to       io.Writer
	exchange *exchange
	finder   Finder
}

// Read carries what the far end sends.
func (u *upgraded) Read(to []byte) (n int, err error) {
	defer guard(&err)
	return u.ReadCloser.Read(to)
}

// Write carries what the sandbox sends.
func (u *upgraded) Write(piece []byte) (n int, err error) {
	defer guard(&err)
	if u.finder.Find(u.exchange.config, piece) {
		u.exchange.hasPlaceholder.Store(true)
		return 0, errPlaceholder
	}
	return u.to.Write(piece)
}

// writer is where the answer to the sandbox is written.
type writer struct {
	http.ResponseWriter
	exchange *exchange
}

// Unwrap lets what wraps it flush and take the connection over.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) WriteHeader(status int) {
	if status < 200 {
		// The transport tells these.
		var err error
		defer guard(&err)
	}
	header := w.Header()
	if status < 200 && w.exchange.sweep.masker != nil {
		w.exchange.maskHeader(header)
	}
	if status >= 200 {
		// The far end's headers and no others.
		for _, name := range []string{"Content-Type", "Date"} {
			if _, has := header[name]; !has {
				header[name] = nil
			}
		}
	}
	w.ResponseWriter.WriteHeader(status)
}
