package attached

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// errBroken says that what came is no frame of the session. The next read looks for a hello in the same bytes.
var errBroken = errors.New("what arrived is no frame of this session")

// message is a hello where its nonce is set, else a frame. It is valid until the next one is read.
type message struct {
	nonce   []byte
	kind    kind
	stream  uint32
	payload []byte
}

// receiver reads hellos and frames. It never holds more than one frame and a read.
type receiver struct {
	in         io.Reader
	buf        []byte
	start, end int
	framing    bool
	seed       uint32
	key        []byte
}

func newReceiver(in io.Reader) *receiver {
	return &receiver{in: in, buf: make([]byte, 2*(headerSize+frameBytes))}
}

// next returns errBroken once where frames end in something else, and the reader's error at the end of the input.
func (r *receiver) next() (message, error) {
	if r.framing {
		return r.frame()
	}
	return r.hello()
}

func (r *receiver) frame() (message, error) {
	if err := r.fill(headerSize); err != nil {
		return message{}, err
	}
	head := r.buf[r.start : r.start+headerSize]
	k, length := kind(head[0]), int(binary.BigEndian.Uint32(head)&0xff_ff_ff)
	if !k.known() || length > frameBytes {
		return message{}, r.broken()
	}
	if err := r.fill(headerSize + length); err != nil {
		return message{}, err
	}
	head = r.buf[r.start : r.start+headerSize]
	payload := r.buf[r.start+headerSize : r.start+headerSize+length]
	sum := crc32.Update(crc32.Update(r.seed, crc32.IEEETable, head[:8]), crc32.IEEETable, payload)
	if sum != binary.BigEndian.Uint32(head[8:]) {
		return message{}, r.broken()
	}
	r.start += headerSize + length
	return message{kind: k, stream: binary.BigEndian.Uint32(head[4:]), payload: payload}, nil
}

// broken leaves the bytes where they are: a hello may stand among them.
func (r *receiver) broken() error {
	r.framing = false
	return errBroken
}

func (r *receiver) hello() (message, error) {
	for {
		at := bytes.Index(r.buf[r.start:r.end], hostMagic)
		if at < 0 {
			// The magic's beginning may be there.
			r.start = max(r.start, r.end-len(hostMagic)+1)
			if err := r.fill(r.end - r.start + 1); err != nil {
				return message{}, err
			}
			continue
		}
		r.start += at
		if err := r.fill(helloSize); err != nil {
			return message{}, err
		}
		hello := r.buf[r.start : r.start+helloSize]
		key := hello[len(hostMagic) : len(hostMagic)+keySize]
		whole := crc32.ChecksumIEEE(hello[:helloSize-4]) == binary.BigEndian.Uint32(hello[helloSize-4:])
		if !whole || r.key != nil && subtle.ConstantTimeCompare(r.key, key) == 0 {
			r.start++
			continue
		}
		if r.key == nil {
			r.key = bytes.Clone(key)
		}
		r.start += helloSize
		nonce := bytes.Clone(hello[len(hostMagic)+keySize : helloSize-4])
		r.framing, r.seed = true, seedOf(nonce)
		return message{nonce: nonce}, nil
	}
}

// fill reads until n bytes are there.
func (r *receiver) fill(n int) error {
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	if r.start+n > len(r.buf) {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	for r.end-r.start < n {
		got, err := r.in.Read(r.buf[r.end:])
		r.end += got
		if err != nil && r.end-r.start < n {
			return err
		}
	}
	return nil
}
