package intercept

import (
	"io"
	"sync"
)

// pieceBytes is what is read at once of a body in which values are looked for.
const pieceBytes = 64 << 10

var pieces = sync.Pool{New: func() any { return new([pieceBytes]byte) }}

// eagerBytes is how much of what may be a value's beginning goes on at once where both sides talk in turns: a message that
// ends in a value's first letters would be waited for. If it was one, the rest of it is masked.
const eagerBytes = 3

// maskingReader masks the values in a body. What is held back of it is no more than what may be a value's beginning.
type maskingReader struct {
	from  io.ReadCloser
	sweep *sweep
	// atEnd is called once, when the body has ended or is closed.
	atEnd func()

	// buffer has what is ready from ready to end, and what is undecided from held to last; sent bytes of that went on.
	pooled                       *[pieceBytes]byte
	buffer                       []byte
	ready, end, held, last, sent int
	err                          error
	isEager                      bool
}

func newMaskingReader(from io.ReadCloser, sweep *sweep, atEnd func()) *maskingReader {
	return &maskingReader{from: from, sweep: sweep, atEnd: atEnd}
}

func (r *maskingReader) Read(to []byte) (int, error) {
	if len(to) == 0 {
		return 0, nil
	}
	for r.ready == r.end {
		if r.err != nil {
			r.release()
			return 0, r.err
		}
		r.fill()
	}
	n := copy(to, r.buffer[r.ready:r.end])
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
	r.held = r.sweep.next(r.buffer[:r.last], r.err != nil)
	if r.err == io.EOF {
		r.finish() // once what came with the end was searched too
	}
	r.ready, r.end = r.sent, r.held
	if r.isEager && r.sweep.until == 0 && r.last-r.held <= eagerBytes {
		r.end = r.last
	}
	r.end = max(r.end, r.ready)
	r.sent = r.end - r.held
}

func (r *maskingReader) Close() error {
	err := r.from.Close()
	r.finish()
	return err
}

func (r *maskingReader) finish() {
	if r.atEnd != nil {
		r.atEnd()
		r.atEnd = nil
	}
}

func (r *maskingReader) release() {
	if r.pooled != nil {
		pieces.Put(r.pooled)
		r.pooled, r.buffer, r.ready, r.end, r.held, r.last, r.sent = nil, nil, 0, 0, 0, 0, 0
	}
}
