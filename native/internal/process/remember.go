package process

import (
	"time"

	"stacyvm/native/internal/bound"
)

// ended books a process's end and forgets what is beyond the bounds for ended ones.
func (t *Table) ended(p *Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live--
	delete(t.background, p)
	t.finished = append(t.finished, p)
	t.trim()
	t.used()
}

// Release forgets the output of an ended process that nobody will ask for again; its end stays listed.
func (t *Table) Release(p *Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if over(p) && p.Ring.Readers() == 0 {
		p.Ring.Drop()
	}
}

func (t *Table) trim() {
	total := 0
	for i := len(t.finished) - 1; i >= 0; i-- {
		p := t.finished[i]
		_, ended := p.State()
		if len(t.finished)-i > t.limits.EndedProcesses || time.Since(ended) > bound.EndedAge {
			for _, old := range t.finished[:i+1] {
				delete(t.all, old.ID)
			}
			t.finished = append([]*Process(nil), t.finished[i+1:]...)
			return
		}
		if total += p.Ring.Bytes(); total > t.limits.EndedBytes {
			total -= p.Ring.Bytes()
			p.Ring.Drop()
		}
	}
}
