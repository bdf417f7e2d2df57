package process

import (
	"context"
	"os"
	"sync"

	"stacyvm/native/internal/fault"
)

// input feeds a process's stdin (or terminal) without ever blocking the caller longer than the caller wants.
type input struct {
	file     *os.File
	terminal bool
	max      int

	mu      sync.Mutex
	queue   [][]byte
	size    int
	writing bool
	closing bool
	broken  bool
	room    chan struct{}
}

// write queues data; it waits for room until the context ends.
func (in *input) write(ctx context.Context, data []byte) error {
	if len(data) > in.max {
		return fault.Exceeds("stdin-bytes", in.max)
	}
	for {
		in.mu.Lock()
		if in.closing {
			in.mu.Unlock()
			return fault.New(fault.Precondition, "stdin is closed")
		}
		if in.broken || len(data) == 0 {
			in.mu.Unlock()
			return nil
		}
		if in.size+len(data) <= in.max {
			in.push(data)
			in.mu.Unlock()
			return nil
		}
		if in.room == nil {
			in.room = make(chan struct{})
		}
		room := in.room
		in.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (in *input) push(data []byte) {
	in.queue = append(in.queue, data)
	in.size += len(data)
	if !in.writing {
		in.writing = true
		go in.drain()
	}
}

// close ends stdin after what is queued.
func (in *input) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closing {
		return
	}
	in.closing = true
	if !in.writing {
		_ = in.file.Close()
	}
}

// abandon frees everything at once: the process is gone.
func (in *input) abandon() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closing, in.broken = true, true
	in.queue, in.size = nil, 0
	_ = in.file.Close()
	in.signal()
}

func (in *input) open() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return !in.closing && !in.broken
}

func (in *input) drain() {
	for {
		in.mu.Lock()
		if len(in.queue) == 0 {
			in.writing = false
			if in.closing {
				_ = in.file.Close()
			}
			in.mu.Unlock()
			return
		}
		data := in.queue[0]
		in.mu.Unlock()
		_, err := in.file.Write(data)
		in.mu.Lock()
		if err != nil {
			// The process doesn't read any more: what a pipe would say with EPIPE is not the caller's error.
			in.broken, in.queue, in.size = true, nil, 0
		} else if len(in.queue) > 0 {
			in.size -= len(data)
			in.queue[0] = nil
			in.queue = in.queue[1:]
		}
		in.signal()
		in.mu.Unlock()
	}
}

func (in *input) signal() {
	if in.room != nil {
		close(in.room)
		in.room = nil
	}
}
