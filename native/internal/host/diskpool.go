package host

import (
	"context"
	"sync"
)

// diskPool keeps a few writable layers of the size that was asked for last. They hang on descriptors of this process
// alone, so its death removes them.
type diskPool struct {
	maker *diskMaker
	want  int

	mutex   sync.Mutex
	ready   []*disk
	sizeMB  int
	filling bool
	closed  bool
	idle    sync.WaitGroup
}

func newDiskPool(maker *diskMaker, want int) *diskPool { return &diskPool{maker: maker, want: want} }

// take returns a layer of the size, a ready one if there is.
func (p *diskPool) take(ctx context.Context, sizeMB int) (*disk, error) {
	if found := p.pop(sizeMB); found != nil {
		return found, nil
	}
	return p.maker.make(ctx, sizeMB)
}

func (p *diskPool) pop(sizeMB int) *disk {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.sizeMB != sizeMB || len(p.ready) == 0 {
		return nil
	}
	last := p.ready[len(p.ready)-1]
	p.ready = p.ready[:len(p.ready)-1]
	return last
}

// refill makes layers in the background until as many are ready as wanted, one at a time.
func (p *diskPool) refill(sizeMB int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if sizeMB != p.sizeMB {
		p.drop()
		p.sizeMB = sizeMB
	}
	if p.filling || p.closed || len(p.ready) >= p.want {
		return
	}
	p.filling = true
	p.idle.Go(p.fill)
}

func (p *diskPool) fill() {
	for {
		p.mutex.Lock()
		sizeMB := p.sizeMB
		if p.closed || len(p.ready) >= p.want {
			p.filling = false
			p.mutex.Unlock()
			return
		}
		p.mutex.Unlock()
		made, err := p.maker.make(context.Background(), sizeMB)
		p.mutex.Lock()
		switch {
		case err != nil: // the next spawn meets the same error and reports it
			p.filling = false
			p.mutex.Unlock()
			return
		case p.closed || p.sizeMB != sizeMB:
			made.close()
		default:
			p.ready = append(p.ready, made)
		}
		p.mutex.Unlock()
	}
}

func (p *diskPool) drop() {
	for _, d := range p.ready {
		d.close()
	}
	p.ready = nil
}

func (p *diskPool) close() {
	p.mutex.Lock()
	p.closed = true
	p.drop()
	p.mutex.Unlock()
	p.idle.Wait()
}
