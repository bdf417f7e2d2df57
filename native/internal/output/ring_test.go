package output

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"time"
)

func TestAnyReaderSeesWhatWasWrittenOrIsToldWhatItLost(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		ring := NewRing(1024 + random.IntN(8192))
		var all []byte
		var streams []Stream
		for range random.IntN(200) {
			chunk := make([]byte, random.IntN(300))
			for i := range chunk {
				chunk[i] = byte(random.Uint32())
			}
			stream := Stream(1 + random.IntN(2))
			ring.Append(stream, bytes.Clone(chunk), random.IntN(2) == 0)
			all = append(all, chunk...)
			for range chunk {
				streams = append(streams, stream)
			}
			if ring.Bytes() > ring.max {
				t.Fatalf("seed %d: holds %d of %d", seed, ring.Bytes(), ring.max)
			}
		}
		ring.Close()
		from := uint64(random.IntN(len(all) + 1))
		reader := ring.Follow(from, 1)
		at := from
		for {
			c, ok := reader.Try(1 + random.IntN(100))
			if !ok {
				t.Fatalf("seed %d: stuck at %d", seed, at)
			}
			if c.Event == End {
				break
			}
			if c.Event == Lost {
				if c.Offset != at || c.Until <= at {
					t.Fatalf("seed %d: lost %d to %d at %d", seed, c.Offset, c.Until, at)
				}
				at = c.Until
			}
			for i, b := range c.Bytes {
				if c.Offset != at-uint64(i) && i == 0 || b != all[at] || c.Stream != streams[at] {
					t.Fatalf("seed %d: byte %d differs", seed, at)
				}
				at++
			}
		}
		if at != uint64(len(all)) {
			t.Fatalf("seed %d: ended at %d of %d", seed, at, len(all))
		}
	}
}

func TestThePrimaryReaderLosesNothingAndHurryFreesTheWriter(t *testing.T) {
	ring := NewRing(4096)
	primary := ring.Primary()
	written := make(chan int, 1)
	go func() {
		for range 100 {
			ring.Append(Stdout, make([]byte, 1000), false)
		}
		ring.Mark()
		written <- 100
	}()
	total := 0
	for {
		c, err := primary.Next(context.Background(), 700)
		if err != nil || c.Event == Lost {
			t.Fatal(c.Event, err)
		}
		if c.Event == End {
			break
		}
		total += len(c.Bytes)
	}
	if total != 100_000 || <-written != 100 {
		t.Errorf("read %d", total)
	}
	ring = NewRing(100)
	ring.Primary()
	done := make(chan bool)
	go func() {
		ring.Append(Stdout, make([]byte, 90), false)
		ring.Append(Stdout, make([]byte, 90), false)
		close(done)
	}()
	ring.Hurry()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("a writer waits although it was hurried")
	}
}

func TestOneReaderTooManyIsRefused(t *testing.T) {
	ring := NewRing(100)
	if ring.Follow(0, 1) == nil || ring.Follow(0, 1) != nil {
		t.Error("the bound does not hold")
	}
}

func TestMemoryIsGivenBackOnlyOnceItsReaderHasGoneOnAndNobodyElseFollows(t *testing.T) {
	for _, followed := range []bool{false, true} {
		ring := NewRing(4 * 1024)
		given := map[*byte]bool{}
		ring.Recycle(func(data []byte) { given[&data[:1][0]] = true })
		primary := ring.Primary()
		if followed && ring.Follow(0, 2) == nil {
			t.Fatal("no reader")
		}
		var held []byte
		for range 100 {
			buf := make([]byte, 1000)
			ring.Append(Stdout, buf, true)
			if held != nil && given[&held[0]] {
				t.Fatal("given back while its reader held it")
			}
			chunk, ok := primary.Try(1000)
			if !ok || len(chunk.Bytes) != 1000 {
				t.Fatal("not read")
			}
			held = chunk.Bytes
		}
		if followed != (len(given) == 0) {
			t.Errorf("followed %v: %d given back", followed, len(given))
		}
	}
}

func TestTheLastChunkOfTheReaderIsNotGivenBackWhileTheRingIsFull(t *testing.T) {
	ring := NewRing(1100)
	given := 0
	ring.Recycle(func([]byte) { given++ })
	primary := ring.Primary()
	ring.Append(Stdout, make([]byte, 1000), true)
	if _, ok := primary.Try(1000); !ok {
		t.Fatal("not read")
	}
	ring.Append(Stdout, make([]byte, 1000), true)
	if given != 0 {
		t.Error("given back while its reader held it")
	}
}
