// Package output keeps what a process wrote: bounded, in arrival order, readable by many.
package output

import (
	"sync"
)

// Stream says where bytes came from. The numbers are those of the wire.
type Stream uint8

const (
	Stdout Stream = 1
	Stderr Stream = 2
	Pty    Stream = 3
)

// segmentCost is what a segment takes besides its bytes, so that many tiny writes stay inside the bound.
const segmentCost = 64

type segment struct {
	stream Stream
	start  uint64
	data   []byte
	owned  bool
}

func (s *segment) end() uint64 { return s.start + uint64(len(s.data)) }
func (s *segment) cost() int   { return cap(s.data) + segmentCost }

// Ring is the output of one process. Bytes of all streams share one running offset. While a primary reader is
// attached nothing is dropped before it was read: writers wait. Otherwise the oldest segments go.
type Ring struct {
	mu       sync.Mutex
	max      int
	segments []segment
	cost     int
	next     uint64
	primary  *Reader
	readers  int
	hurried  bool
	closed   bool
	marked   bool
	mark     uint64
	changed  chan struct{}
	room     sync.Cond
	recycle  func([]byte)
	shared   bool
}

// NewRing makes an empty ring that keeps at most maxBytes.
func NewRing(maxBytes int) *Ring {
	r := &Ring{max: maxBytes}
	r.room.L = &r.mu
	return r
}

// Recycle has owned memory given back once nobody can read it any more. To be called before the first Append.
func (r *Ring) Recycle(give func(data []byte)) { r.recycle = give }

// Append adds bytes. With owned the ring keeps data itself, otherwise a copy. It waits for the primary reader when full.
func (r *Ring) Append(stream Stream, data []byte, owned bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	need := len(data)
	if owned {
		need = cap(data)
	}
	for !r.makeRoom(need + segmentCost) {
		r.room.Wait()
	}
	if r.closed || len(data) == 0 {
		return
	}
	r.put(stream, data, owned)
	r.next += uint64(len(data))
	r.wake()
}

func (r *Ring) put(stream Stream, data []byte, owned bool) {
	grow := 64
	if n := len(r.segments); n > 0 {
		last := &r.segments[n-1]
		if last.stream == stream && cap(last.data)-len(last.data) >= len(data) {
			last.data = append(last.data, data...)
			if owned && r.recycle != nil {
				r.recycle(data)
			}
			return
		}
		if last.stream == stream {
			grow = min(2*cap(last.data), 32<<10)
		}
	}
	kept := data
	if !owned {
		spare := min(grow, r.max-r.cost-segmentCost)
		kept = append(make([]byte, 0, max(len(data), spare)), data...)
	}
	r.segments = append(r.segments, segment{stream: stream, start: r.next, data: kept, owned: owned})
	r.cost += r.segments[len(r.segments)-1].cost()
}

// makeRoom drops the oldest segments and says whether need fits (or waiting is pointless).
func (r *Ring) makeRoom(need int) bool {
	for r.cost+need > r.max && len(r.segments) > 0 {
		oldest := &r.segments[0]
		if r.primary != nil && oldest.end() > r.primary.at {
			return r.hurried || r.closed
		}
		r.cost -= oldest.cost()
		// A reader that follows may still hold a part of it; the primary one is known to have gone on.
		if oldest.owned && r.recycle != nil && !r.shared && r.primary != nil && oldest.end() <= r.primary.done {
			r.recycle(oldest.data)
		}
		r.segments[0] = segment{}
		r.segments = r.segments[1:]
	}
	return true
}

// Hurry makes writers stop waiting for the primary reader: the process is being ended.
func (r *Ring) Hurry() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hurried = true
	r.room.Broadcast()
}

// Mark tells the primary reader that the output which precedes the exit ends here.
func (r *Ring) Mark() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.marked, r.mark = true, r.next
	r.wake()
}

// Close ends the output: readers reach the end after what is kept.
func (r *Ring) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.room.Broadcast()
	r.wake()
}

// Drop forgets the kept bytes; offsets stay.
func (r *Ring) Drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.segments, r.cost = nil, 0
	r.wake()
}

// Offsets returns the first byte still kept and the one that comes next.
func (r *Ring) Offsets() (first, next uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.first(), r.next
}

// Bytes is the memory that the ring holds now.
func (r *Ring) Bytes() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cost
}

func (r *Ring) first() uint64 {
	if len(r.segments) == 0 {
		return r.next
	}
	return r.segments[0].start
}

func (r *Ring) wake() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}
