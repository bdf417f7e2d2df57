package output

import (
	"context"
	"sort"
)

// What Next found.
type Event uint8

const (
	Data Event = iota
	// Lost: the bytes from Offset to Until are gone.
	Lost
	// Live: the reader has caught up with the present. Said once.
	Live
	// End: nothing follows (for the primary reader: before the exit).
	End
	// Marked: what was written before the mark has been told. Said once, and never to the primary reader.
	Marked
)

// Chunk is one step of a reader. Bytes must not be changed, and the primary reader holds them only until its next step.
type Chunk struct {
	Event  Event
	Stream Stream
	Bytes  []byte
	Offset uint64
	Until  uint64
}

// Reader walks a ring from an offset.
type Reader struct {
	ring *Ring
	at   uint64
	// done is what the reader has finished with: all that it got before its last step.
	done    uint64
	live    bool
	primary bool
	marked  bool
}

// Primary attaches the reader for which nothing is ever dropped. There is one, from offset 0.
func (r *Ring) Primary() *Reader {
	reader := &Reader{ring: r, live: true, primary: true}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.primary = reader
	r.readers++
	return reader
}

// Follow attaches a reader that never slows the process; nil when limit readers are attached already.
// An offset beyond the present starts at the present.
func (r *Ring) Follow(offset uint64, limit int) *Reader {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.readers >= limit {
		return nil
	}
	r.readers++
	r.shared = true
	return &Reader{ring: r, at: min(offset, r.next)}
}

// Detach frees the reader. Without its primary reader a process is no longer slowed.
func (d *Reader) Detach() {
	r := d.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readers--
	if r.primary == d {
		r.primary = nil
		r.room.Broadcast()
	}
}

// Readers says how many are attached.
func (r *Ring) Readers() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.readers
}

// Next waits for output and returns at most limit bytes of it. The error is the context's.
func (d *Reader) Next(ctx context.Context, limit int) (Chunk, error) {
	r := d.ring
	for {
		r.mu.Lock()
		if chunk, ok := d.take(limit); ok {
			r.mu.Unlock()
			return chunk, nil
		}
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return Chunk{}, ctx.Err()
		}
	}
}

func (d *Reader) take(limit int) (Chunk, bool) {
	r := d.ring
	d.done = d.at
	if d.primary && r.marked && d.at >= r.mark {
		return Chunk{Event: End, Offset: d.at}, true
	}
	if first := r.first(); d.at < first {
		lost := Chunk{Event: Lost, Offset: d.at, Until: first}
		d.at = first
		return lost, true
	}
	if r.marked && !d.marked && !d.primary && d.at >= r.mark && (d.live || d.at < r.next) {
		d.marked = true
		return Chunk{Event: Marked, Offset: d.at}, true
	}
	if d.at < r.next {
		i := sort.Search(len(r.segments), func(i int) bool { return r.segments[i].end() > d.at })
		s := &r.segments[i]
		bytes := s.data[d.at-s.start:]
		bytes = bytes[:min(len(bytes), limit):min(len(bytes), limit)]
		if r.marked && d.at < r.mark {
			bytes = bytes[:min(uint64(len(bytes)), r.mark-d.at)]
		}
		chunk := Chunk{Event: Data, Stream: s.stream, Bytes: bytes, Offset: d.at}
		d.at += uint64(len(bytes))
		if d.primary {
			r.room.Broadcast()
		}
		return chunk, true
	}
	if !d.live {
		d.live = true
		return Chunk{Event: Live, Offset: d.at}, true
	}
	if r.closed {
		return Chunk{Event: End, Offset: d.at}, true
	}
	return Chunk{}, false
}

// Try is Next without waiting.
func (d *Reader) Try(limit int) (Chunk, bool) {
	d.ring.mu.Lock()
	defer d.ring.mu.Unlock()
	return d.take(limit)
}
