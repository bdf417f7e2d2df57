package outbound

import (
	"sync"

	"stacyvm/native/internal/egresswire"
)

// lookups are the resolutions under way: programs ask for several types of a name at once, and the gateway is asked once.
type lookups struct {
	mutex sync.Mutex
	of    map[string]*lookup
}

type lookup struct {
	done    chan struct{}
	answer  egresswire.Answer
	sharers int
}

// ask calls resolve, unless somebody else has for the same name and waits for the answer.
func (l *lookups) ask(name string, resolve func() egresswire.Answer) egresswire.Answer {
	l.mutex.Lock()
	if same := l.of[name]; same != nil {
		same.sharers++
		l.mutex.Unlock()
		<-same.done
		return same.answer
	}
	mine := &lookup{done: make(chan struct{})}
	if l.of == nil {
		l.of = map[string]*lookup{}
	}
	l.of[name] = mine
	l.mutex.Unlock()
	mine.answer = resolve()
	l.mutex.Lock()
	delete(l.of, name)
	l.mutex.Unlock()
	close(mine.done)
	return mine.answer
}
