package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/egresswire"
)

const (
	// slotsMax bounds the slots that wait; the gateway keeps a few.
	slotsMax = 512
	// triesMax bounds how many slots one request may find ended.
	triesMax = 16
)

var errNoSlot = errors.New("the egress gateway offers no slot")

// slots are connections of the gateway that wait to be asked something, the oldest first.
type slots struct {
	mutex   sync.Mutex
	waiting []*net.UnixConn
	takers  []chan *net.UnixConn
}

// put adds a slot, or gives it to whoever has waited longest.
func (s *slots) put(slot *net.UnixConn) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.takers) > 0 {
		s.takers[0] <- slot
		s.takers = s.takers[1:]
		return
	}
	if len(s.waiting) >= slotsMax {
		s.waiting = slices.DeleteFunc(s.waiting, func(old *net.UnixConn) bool {
			ended := hasEnded(old)
			if ended {
				_ = old.Close()
			}
			return ended
		})
	}
	if len(s.waiting) >= slotsMax {
		_ = slot.Close()
		return
	}
	s.waiting = append(s.waiting, slot)
}

// take waits for a slot that hasn't ended.
func (s *slots) take(ctx context.Context) (*net.UnixConn, error) {
	s.mutex.Lock()
	for len(s.waiting) > 0 {
		slot := s.waiting[0]
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		if !hasEnded(slot) {
			s.mutex.Unlock()
			return slot, nil
		}
		_ = slot.Close()
	}
	s.waiting = nil
	mine := make(chan *net.UnixConn, 1)
	s.takers = append(s.takers, mine)
	s.mutex.Unlock()
	select {
	case slot := <-mine:
		return slot, nil
	case <-ctx.Done():
	}
	s.mutex.Lock()
	s.takers = slices.DeleteFunc(s.takers, func(one chan *net.UnixConn) bool { return one == mine })
	s.mutex.Unlock()
	select {
	case slot := <-mine: // put was faster
		return slot, nil
	default:
		return nil, errNoSlot
	}
}

// hasEnded tells whether a waiting slot is of no use: the other side closed it, or speaks without having been asked.
func hasEnded(slot *net.UnixConn) bool {
	raw, err := slot.SyscallConn()
	if err != nil {
		return true
	}
	ended := true
	_ = raw.Control(func(fd uintptr) {
		var first [1]byte
		_, _, err := unix.Recvfrom(int(fd), first[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		ended = err != unix.EAGAIN
	})
	return ended
}

// ask sends a request on the next slot and returns the answer with the slot, which is the caller's. A slot that ends before
// its answer has carried nothing, so the request goes to another one.
func (s *slots) ask(request egresswire.Request, slotWait, answerWait time.Duration) (*net.UnixConn, egresswire.Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), slotWait)
	defer cancel()
	var lastErr error
	for range triesMax {
		slot, err := s.take(ctx)
		if err != nil {
			return nil, egresswire.Answer{}, err
		}
		answer, err := exchange(slot, request, answerWait)
		if err == nil {
			return slot, answer, nil
		}
		_ = slot.Close()
		if lastErr = err; !errors.Is(err, io.EOF) && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
			break
		}
	}
	return nil, egresswire.Answer{}, lastErr
}

func exchange(slot *net.UnixConn, request egresswire.Request, wait time.Duration) (egresswire.Answer, error) {
	if err := egresswire.Write(slot, request); err != nil {
		return egresswire.Answer{}, err
	}
	if err := slot.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return egresswire.Answer{}, err
	}
	return egresswire.ReadAnswer(slot)
}
