package intercept

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"sync"
)

// mask is what a value's every character is replaced by; lengths stay.
const mask = '*'

// masker finds values, in whatever form, and masks them. It doesn't change.
type masker struct {
	patterns []pattern
	// pairs has a bit for each two bytes that a pattern's spelling may begin with; single says that one has a single byte.
	pairs  [1 << 10]uint64
	single bool
	// starts are the patterns by the byte that they begin with, as it stands; elastic are those that escapes may begin.
	starts  [256][]int
	elastic []int
}

// newMasker returns nil where there is nothing to look for.
func newMasker(values map[string][]string) *masker {
	m := &masker{}
	known := map[string]bool{}
	for name, of := range values {
		for _, value := range of {
			if !known[name+"\x00"+value] {
				known[name+"\x00"+value] = true
				m.patterns = append(m.patterns, formsOf(name, value)...)
			}
		}
	}
	if len(m.patterns) == 0 {
		return nil
	}
	for i := range m.patterns {
		m.index(i)
	}
	return m
}

func (m *masker) index(i int) {
	p := &m.patterns[i]
	first := []byte{p.text[0]}
	if p.isHex {
		first = append(first, bytes.ToUpper(first)...)
	}
	for _, c := range slices.Compact(first) {
		m.starts[c] = append(m.starts[c], i)
		if len(p.text) == 1 {
			m.single = true
			continue
		}
		for _, next := range m.begins(p, p.text[1]) {
			m.pair(c, next)
		}
	}
	if p.isExact {
		return
	}
	m.elastic = append(m.elastic, i)
	high := hexOf(rune(p.text[0]), 2)[0]
	m.pair('%', high)
	m.pair('%', bytes.ToUpper([]byte{high})[0])
	m.pair('\\', 'u')
	if strings.IndexByte(`"\/'`, p.text[0]) >= 0 {
		m.pair('\\', p.text[0])
	}
	if p.text[0] == ' ' {
		for _, next := range m.begins(p, p.text[1]) {
			m.pair('+', next)
		}
	}
}

// begins are the bytes that a spelling of a character begins with.
func (m *masker) begins(p *pattern, c byte) []byte {
	all := []byte{c}
	if p.isHex {
		all = append(all, bytes.ToUpper(all)...)
	}
	if !p.isExact {
		all = append(all, '%', '\\')
	}
	if c == ' ' {
		all = append(all, '+')
	}
	return all
}

func (m *masker) pair(first, second byte) {
	at := uint(first)<<8 | uint(second)
	m.pairs[at>>6] |= 1 << (at & 63)
}

// at returns how much of text, from its beginning on, is a value, of which secrets, and whether more of the text might make
// it one, or more of one.
func (m *masker) at(text []byte) (length int, names []string, more bool) {
	indices := m.starts[text[0]]
	if c := text[0]; c == '%' || c == '\\' || c == '+' {
		indices = slices.Concat(indices, m.elastic)
	}
	for _, i := range indices {
		n, maybe := m.patterns[i].match(text)
		more = more || maybe
		if n > 0 {
			length, names = max(length, n), append(names, m.patterns[i].name)
		}
	}
	return length, names, more
}

// sweep is one text's way through a masker, in pieces.
type sweep struct {
	*masker
	// until is how far what was found reaches into the next piece.
	until int

	mu    sync.Mutex
	found map[string]bool
}

// next masks what is found in a piece, and returns where its undecided end begins; the next piece begins with that. Behind
// the last one nothing comes.
func (s *sweep) next(piece []byte, isLast bool) (decided int) {
	// What was found last isn't masked before the search is past it: another value may begin in it.
	begin, end := 0, s.until
	decided = len(piece)
	for i := s.candidate(piece, 0); i < len(piece); i = s.candidate(piece, i+1) {
		length, names, more := s.at(piece[i:])
		if more && !isLast {
			decided = i
			break
		}
		if length == 0 {
			continue
		}
		s.tell(names)
		if i > end {
			cover(piece[begin:end])
			begin = i
		}
		end = max(end, i+length)
	}
	cover(piece[begin:min(end, decided)])
	s.until = max(end-decided, 0)
	return decided
}

func cover(text []byte) {
	for i := range text {
		text[i] = mask
	}
}

// candidate is the next place where a value may begin.
func (s *sweep) candidate(piece []byte, from int) int {
	if s.single || from >= len(piece) {
		return from
	}
	pairs, at := &s.pairs, uint16(piece[from])
	for i, c := range piece[from+1:] {
		at = at<<8 | uint16(c)
		if pairs[at>>6]&(1<<(at&63)) != 0 {
			return from + i
		}
	}
	// The last byte has none behind it to tell by.
	return len(piece) - 1
}

func (s *sweep) tell(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found == nil {
		s.found = map[string]bool{}
	}
	for _, name := range names {
		s.found[name] = true
	}
}

// names are those of the secrets that were found.
func (s *sweep) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.found))
}

// text masks a whole text beside the one that is on its way.
func (s *sweep) text(text string) string {
	beside := sweep{masker: s.masker}
	whole := []byte(text)
	beside.next(whole, true)
	found := beside.names()
	if len(found) == 0 {
		return text
	}
	s.tell(found)
	return string(whole)
}

// inName tells whether a value is in a header's name, whose capitals don't count.
func (s *sweep) inName(name string) bool {
	for i := range s.patterns {
		if p := &s.patterns[i]; len(p.text) >= shortBytes && len(p.text) <= len(name) && strings.Contains(strings.ToLower(name), strings.ToLower(p.text)) {
			s.tell([]string{p.name})
			return true
		}
	}
	return false
}

// masked masks a whole text.
func masked(m *masker, text string) string { return (&sweep{masker: m}).text(text) }
