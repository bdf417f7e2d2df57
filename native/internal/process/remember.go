package process

import (
	"slices"
	"time"

	"stacyvm/native/internal/bound"
)

// ended books a process's end and forgets what is beyond the bounds for ended ones.
func (t *Table) ended(p *Process) {
	p.shed()
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

// trim forgets ended processes beyond the bounds, oldest first. Those that were given a name are counted apart: a burst
// of commands must not push out a process that somebody will come back to.
func (t *Table) trim() {
	kept := make([]*Process, 0, len(t.finished))
	count := map[bool]int{}
	total := 0
	var next time.Duration
	for _, p := range slices.Backward(t.finished) {
		named := p.Spec.ID != ""
		_, ended := p.State()
		left := bound.EndedAge - time.Since(ended)
		if count[named] >= t.limits.EndedProcesses || left <= 0 {
			delete(t.all, p.ID)
			continue
		}
		count[named]++
		if total += p.Ring.Bytes(); total > t.limits.EndedBytes {
			total -= p.Ring.Bytes()
			p.Ring.Drop()
		}
		kept = append(kept, p)
		if next == 0 || left < next {
			next = left
		}
	}
	slices.Reverse(kept)
	t.finished = kept
	t.forgetAfter(next)
}

// forgetAfter has the table look again when the next ended process is due; while none is there, nothing is to come.
func (t *Table) forgetAfter(next time.Duration) {
	if t.forget != nil {
		t.forget.Stop()
	}
	if next == 0 {
		return
	}
	t.forget = time.AfterFunc(next, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.trim()
		t.used()
	})
}
