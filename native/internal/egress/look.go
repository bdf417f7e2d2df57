package egress

import (
	"bytes"
	"errors"
	"io"

	"stacyvm/native/internal/egress/intercept"
	"stacyvm/native/internal/egress/peek"
	"stacyvm/native/internal/egress/policy"
)

// heldBytes is what a client's first bytes get to begin with; more as it is needed.
const heldBytes = 4 << 10

// mismatch is why a client's first bytes end its connection.
type mismatch struct {
	reason string
	by     policy.Verdict
}

func (m *mismatch) Error() string { return m.reason }

// look holds a client's first bytes back until what they say is understood and allowed, then sends them on. What comes
// from the other end isn't held back: where that one speaks first, nothing waits.
func (f *flow) look() error {
	if f.sandbox.policies.Load().IsOpen() {
		return nil
	}
	held, sight, err := f.hold(f.send)
	if err != nil {
		return err
	}
	if err := f.judge(sight); err != nil {
		return err
	}
	return f.send(held)
}

// hold reads a client's first bytes until it is known what they are. Those that mean nothing are passed on before.
func (f *flow) hold(pass func([]byte) error) ([]byte, peek.Sight, error) {
	held, have, looked := make([]byte, heldBytes), 0, 0
	sight := peek.Sight{Need: 1}
	for {
		for have < peek.HoldBytes && (have < sight.Need || sight.Line && !bytes.Contains(held[looked:have], []byte("\n"))) {
			if have == len(held) {
				held = append(held, make([]byte, len(held))...)
			}
			n, err := f.slot.Read(held[have:])
			have += n
			if errors.Is(err, io.EOF) && have > 0 {
				return held[:have], sightOfHalf(sight, held[:have]), nil
			}
			if err != nil {
				return nil, sight, err
			}
		}
		sight, looked = peek.Look(held[:have]), have
		switch sight.Kind {
		case peek.More:
			continue
		case peek.Pass:
			if err := pass(held[:sight.Need]); err != nil {
				return nil, sight, err
			}
			have, looked = copy(held, held[sight.Need:have]), 0
			sight = peek.Sight{Need: 1}
			continue
		}
		return held[:have], sight, nil
	}
}

// sightOfHalf is what first bytes are behind which nothing comes. Of half a hello or half a head somebody might still make
// something: they are taken for malformed ones.
func sightOfHalf(sight peek.Sight, held []byte) peek.Sight {
	switch {
	case peek.IsRecord(held[0]) && len(held) > 1:
		return peek.Sight{Kind: peek.TLS, Malformed: true}
	case sight.Line:
		return peek.Sight{Kind: peek.HTTP, Malformed: true}
	}
	return peek.Sight{Kind: peek.Other}
}

// send passes what was held back on, in pieces that the sandbox's rate has room for.
func (f *flow) send(held []byte) error {
	for len(held) > 0 {
		n := min(len(held), copyBytes)
		if err := f.search(held[:n]); err != nil {
			return err
		}
		if err := f.pass(f.ctx, f.upstream, held[:n], &f.sent); err != nil {
			return err
		}
		held = held[n:]
	}
	return nil
}

// search ends a flow in which a placeholder is sent: it isn't replaced there.
func (f *flow) search(bytes []byte) error {
	if f.finder.Find(f.sandbox.interception.Load(), bytes) {
		return &mismatch{reason: intercept.ReasonPlaceholder}
	}
	return nil
}

// judge decides on the names that were said: of a flow by name only that one, on a literal address none that is denied.
func (f *flow) judge(sight peek.Sight) error {
	set := f.sandbox.policies.Load()
	switch {
	case f.host != "" && sight.Is(f.host), sight.Kind == peek.Other:
		return nil
	case f.host != "":
		if sight.Kind == peek.HTTP && !set.HasAllowlist() {
			return nil
		}
		return f.mismatch(sight)
	case sight.Kind == peek.HTTP:
		return nil
	case sight.Malformed:
		return f.mismatch(sight)
	}
	for _, name := range sight.Names {
		f.said.Store(&name)
		if verdict := set.Said(name, f.port); !verdict.Allowed {
			return &mismatch{verdict.Reason, verdict}
		}
	}
	return nil
}

func (f *flow) mismatch(sight peek.Sight) error {
	if sight.Kind == peek.HTTP {
		return &mismatch{reason: reasonHost}
	}
	return &mismatch{reason: reasonSNI}
}

// refuse ends a flow for what its client said.
func (f *flow) refuse(why *mismatch) {
	if f.cut(endReset) {
		f.sandbox.tell(f.decision, toldDenied, why.reason, why.by)
	}
}
