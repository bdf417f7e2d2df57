// Package peek finds the names that a client says in its first bytes: in a TLS ClientHello, or in an HTTP request's head.
package peek

import "stacyvm/native/internal/egresswire"

// HoldBytes is how much of a client's first bytes is held back, at most, to be understood.
const HoldBytes = 64 << 10

// headBytes is the longest head of a request that is waited for.
const headBytes = 32 << 10

// Kind is what first bytes are.
type Kind int

// Kinds of first bytes.
const (
	// More: too few to tell; Need says how many make it worth looking again, and Line that a line must have ended since.
	More Kind = iota
	// Pass: the first Need bytes mean nothing and may go; what follows is looked at anew.
	Pass
	// Other: no protocol that says a name.
	Other
	// TLS: a whole ClientHello.
	TLS
	// HTTP: a whole head of a request.
	HTTP
)

// Sight is what was seen.
type Sight struct {
	Kind Kind
	Need int
	Line bool
	// Names are those that were said, as names are compared.
	Names []string
	// Malformed: a name is said in a form that another reader might read in another way.
	Malformed bool
}

// Is tells whether nothing but one name was said, or none at all.
func (s Sight) Is(name string) bool {
	for _, said := range s.Names {
		if said != name {
			return false
		}
	}
	return !s.Malformed
}

// Look says what first bytes are. It is called again with more of them, after More once there are Need.
func Look(first []byte) Sight {
	switch {
	case len(first) == 0:
		return Sight{Need: 1}
	case IsRecord(first[0]):
		return within(HoldBytes, first, lookTLS(first), TLS)
	}
	return within(headBytes, first, lookHTTP(first), HTTP)
}

// within takes what would have to be waited for too long for malformed.
func within(limit int, first []byte, sight Sight, kind Kind) Sight {
	if sight.Kind == More && sight.Need > limit {
		return Sight{Kind: kind, Malformed: true}
	}
	return sight
}

func (s *Sight) say(name string) {
	if name, ok := egresswire.Name(name); ok {
		s.Names = append(s.Names, name)
		return
	}
	s.Malformed = true
}
