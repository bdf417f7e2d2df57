package intercept

import (
	"io"
	"sync"
)

// pieceBytes is what is read at once of a body in which values are looked for.
const pieceBytes = 64 << 10

var pieces = sync.Pool{New: func() any { return new([pieceBytes]byte) }}

// maskingReader masks the values in a body. What is held back of it is no more than what may be a value's beginning.
type maskingReader struct {
	from  io.ReadCloser
	sweep *sweep
	// atEnd is called once, when the body has ended or is closed.
	atEnd func()

	// buffer has what is ready from ready to held, and what is undecided from there to end.
	pooled            *[pieceBytes]byte
	buffer            []byte
	ready, held, last int
	err               error
}

func newMaskingReader(from io.ReadCloser, sweep *sweep, atEnd func()) *maskingReader {
	return &maskingReader{from: from, sweep: sweep, atEnd: atEnd}
}

func (r *maskingReader) Read(to []byte) (int, error) {
	if len(to) == 0 {
		return 0, nil
	}
	for r.ready == r.held {
		if r.err != nil {
			r.release()
			return 0, r.err
		}
		r.fill()
	}
	n := copy(to, r.buffer[r.ready:r.held])
	r.ready += n
	return n, nil
}

// fill reads once, behind what is undecided.
func (r *maskingReader) fill() {
	if r.buffer == nil {
		r.pooled = pieces.Get().(*[pieceBytes]byte)
		r.buffer = r.pooled[:]
	}
	r.last = copy(r.buffer, r.buffer[r.held:r.last])
	if r.last == len(r.buffer) {
		// A value's beginning may be as long as its longest spelling.
		r.buffer = append(r.buffer, make([]byte, len(r.buffer))...)
	}
	var n int
	n, r.err = r.from.Read(r.buffer[r.last:])
	r.last += n
	r.ready = 0
	r.held = r.sweep.next(r.buffer[:r.last], r.err != nil)
	if r.err == io.EOF {
		r.end() // once what came with the end was searched too
	}
}

func (r *maskingReader) Close() error {
	err := r.from.Close()
	r.end()
	return err
}

func (r *maskingReader) end() {
	if r.atEnd != nil {
		r.atEnd()
		r.atEnd = nil
	}
}

func (r *maskingReader) release() {
	if r.pooled != nil {
		pieces.Put(r.pooled)
		r.pooled, r.buffer, r.ready, r.held, r.last = nil, nil, 0, 0, 0
	}
}
