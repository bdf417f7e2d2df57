package attached

import (
	"encoding/binary"
	"net"
)

// sendControls writes what the receiving side and readers want sent: neither of them may wait for the output.
func (l *Listener) sendControls() {
	for {
		select {
		case <-l.wake:
			l.sendWaiting()
		case <-l.done:
			return
		}
	}
}

func (l *Listener) sendWaiting() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	s, out := l.session, l.frame[:0]
	if !s.dead && !s.acknowledged {
		s.acknowledged = true
		out = append(append(out, agentMagic...), s.nonce...)
	}
	if s.lost {
		s.lost = false
		out = appendFrame(out, s.seed, kindLost, 0, nil)
	}
	if s.pong && !s.dead {
		s.pong = false
		out = appendFrame(out, s.seed, kindPong, 0, nil)
	}
	for _, c := range s.controls {
		var payload []byte
		if c.window != nil {
			payload = binary.BigEndian.AppendUint32(nil, uint32(c.window.consumed))
			c.window.consumed, c.window.queued = 0, false
		}
		out = appendFrame(out, s.seed, c.kind, c.stream, payload)
	}
	s.controls = s.controls[:0]
	l.mu.Unlock()
	l.write(s, out)
}

// sendData writes one frame of a connection that may still write.
func (l *Listener) sendData(c *conn, payload []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	current := l.session == c.session && !c.session.dead && !c.gone && !c.closed && !c.wroteEnd
	l.mu.Unlock()
	if !current {
		return net.ErrClosed
	}
	return l.write(c.session, appendFrame(l.frame[:0], c.session.seed, kindData, c.id, payload))
}

// write ends the session where the output takes nothing; the caller holds writing.
func (l *Listener) write(s *session, bytes []byte) error {
	if len(bytes) == 0 {
		return nil
	}
	_, err := l.out.Write(bytes)
	if err != nil {
		l.mu.Lock()
		l.end(s)
		l.mu.Unlock()
	}
	return err
}
