package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"stacyvm/native/internal/egresswire"
)

const (
	// slotsWaiting are kept waiting for what the agent opens next.
	slotsWaiting = 8
	// slotsResting are, once nothing was opened for idleTimeout.
	slotsResting = 2
	// maxSpareSlots is how many slots there are beside those that carry a connection.
	maxSpareSlots = 8
)

const (
	idleTimeout = time.Minute
	// minBackoff and maxBackoff bound how long a door that refuses is left alone.
	minBackoff = 10 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// slots keeps connections waiting at a sandbox's door.
type slots struct {
	sandbox *sandbox
	door    Door
	ctx     context.Context
	end     context.CancelFunc
	wake    chan struct{}

	mu      sync.Mutex
	waiting map[*net.UnixConn]struct{}
	total   int
	taken   time.Time
	backoff time.Duration
}

func newSlots(sandbox *sandbox, door Door) *slots {
	ctx, end := context.WithCancel(context.Background())
	s := &slots{
		sandbox: sandbox, door: door, ctx: ctx, end: end,
		wake: make(chan struct{}, 1), waiting: map[*net.UnixConn]struct{}{}, taken: time.Now(),
	}
	go s.keep()
	return s
}

// keep opens slots until the end.
func (s *slots) keep() {
	defer s.closeWaiting()
	for {
		short, rest := s.short()
		if !short {
			timer := time.NewTimer(rest)
			select {
			case <-s.wake:
			case <-timer.C:
			case <-s.ctx.Done():
			}
			timer.Stop()
			if s.ctx.Err() != nil {
				return
			}
			continue
		}
		if !s.pause() || s.sandbox.rates.doorings.Wait(s.ctx) != nil {
			return
		}
		slot, err := s.door.knock(s.ctx)
		if err != nil {
			s.failed()
			continue
		}
		if !s.add(slot) {
			return
		}
		go s.serve(slot)
	}
}

// short tells whether a slot is missing, and if not, when to look again. Slots that are too many are closed.
func (s *slots) short() (bool, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want, rest := slotsWaiting, idleTimeout-time.Since(s.taken)
	if rest <= 0 {
		want, rest = slotsResting, idleTimeout
		for slot := range s.waiting {
			if len(s.waiting) <= want {
				break
			}
			delete(s.waiting, slot)
			_ = slot.Close()
		}
	}
	return len(s.waiting) < want && s.total < s.sandbox.limits.Load().connections()+maxSpareSlots, rest
}

// pause leaves a door alone that refused, or on whose slots nothing was ever asked.
func (s *slots) pause() bool {
	s.mu.Lock()
	backoff := s.backoff
	s.mu.Unlock()
	if backoff == 0 {
		return true
	}
	timer := time.NewTimer(backoff)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

func (s *slots) failed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backoff = min(max(2*s.backoff, minBackoff), maxBackoff)
}

// add counts a new slot; it fails once the slots have ended.
func (s *slots) add(slot *net.UnixConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		_ = slot.Close()
		return false
	}
	s.total++
	s.waiting[slot] = struct{}{}
	return true
}

// await puts a slot back that was asked something and may be again.
func (s *slots) await(slot *net.UnixConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.waiting[slot] = struct{}{}
	return true
}

// take is told that something came on a waiting slot.
func (s *slots) take(slot *net.UnixConn) {
	s.mu.Lock()
	delete(s.waiting, slot)
	s.taken, s.backoff = time.Now(), 0
	s.mu.Unlock()
	s.nudge()
}

// gone is told that a slot ended, and whether by itself while it waited.
func (s *slots) gone(slot *net.UnixConn) {
	s.mu.Lock()
	if _, waited := s.waiting[slot]; waited {
		delete(s.waiting, slot)
		s.backoff = min(max(2*s.backoff, minBackoff), maxBackoff)
	}
	s.total--
	s.mu.Unlock()
	s.nudge()
}

func (s *slots) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *slots) closeWaiting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for slot := range s.waiting {
		delete(s.waiting, slot)
		_ = slot.Close()
	}
}

// serve answers what is asked on a slot until it ends.
func (s *slots) serve(slot *net.UnixConn) {
	defer s.gone(slot)
	defer slot.Close()
	defer survive(s.sandbox, func() {})
	for {
		request, err := egresswire.ReadRequest(slot)
		if errors.Is(err, egresswire.ErrFrame) {
			s.take(slot)
			_ = egresswire.Write(slot, invalid(err.Error()))
			return
		}
		if err != nil {
			return
		}
		s.take(slot)
		if s.sandbox.rates.requests.Wait(s.ctx) != nil {
			return
		}
		if request.Open == egresswire.OpenTCP {
			s.sandbox.open(s.ctx, slot, request)
			return
		}
		if egresswire.Write(slot, s.sandbox.answer(s.ctx, request)) != nil || !s.await(slot) {
			return
		}
	}
}

// survive lets a mistake end one sandbox's slot, and not the gateway of all.
func survive(sandbox *sandbox, end func()) {
	if fault := recover(); fault != nil {
		fmt.Fprintf(os.Stderr, "slot of %s: %v\n%s", sandbox.journal.sandbox, fault, debug.Stack())
		end()
	}
}
