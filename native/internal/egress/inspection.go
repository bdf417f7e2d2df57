package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"stacyvm/native/internal/egress/intercept"
	"stacyvm/native/internal/egress/peek"
	"stacyvm/native/internal/egress/policy"
)

const (
	// maxFar bounds the connections to the far end that one inspected flow has beside the first.
	maxFar = 8
	// lingerTimeout is how long a sandbox's end of a flow is waited for after the gateway's own.
	lingerTimeout = 2 * time.Second
)

// inspection is a flow whose requests are decided on one by one.
type inspection struct {
	flow    *flow
	session *intercept.Session
	// again are the connections that were made after the first, isTaken that the first is in use; under the flow's lock.
	again   map[*farConn]netip.Addr
	isTaken bool
}

func newInspection(f *flow) *inspection {
	i := &inspection{flow: f, again: map[*farConn]netip.Addr{}}
	i.session = intercept.NewSession(f.ctx, f.host, f.port, i)
	return i
}

// run serves the flow's requests and returns how it ended.
func (i *inspection) run() string {
	f := i.flow
	held, sight, err := f.hold(func([]byte) error { return nil })
	if err == nil {
		err = i.judge(sight)
	}
	var why *mismatch
	switch {
	case errors.As(err, &why):
		f.refuse(why)
		return f.end(endReset)
	case err != nil && !errors.Is(err, io.EOF):
		f.cut(endReset)
		return f.end(endReset)
	case err == nil:
		i.session.Serve(&slotConn{UnixConn: f.slot, flow: f, held: held}, sight.Kind == peek.TLS)
	}
	_ = f.slot.CloseWrite()
	i.linger()
	return f.end(endOrderly)
}

func (i *inspection) judge(sight peek.Sight) error {
	switch {
	case sight.Kind == peek.TLS && !sight.Is(i.flow.host):
		return &mismatch{reason: reasonSNI}
	case sight.Kind == peek.Other:
		return &mismatch{reason: intercept.ReasonNotHTTP}
	}
	return nil
}

// linger lets the sandbox read what was sent: closed at once, the slot would be reset.
func (i *inspection) linger() {
	_ = i.flow.slot.SetReadDeadline(time.Now().Add(lingerTimeout))
	_, _ = io.Copy(io.Discard, i.flow.slot)
}

// holds tells whether what the flow has sent of secrets still stands.
func (i *inspection) holds() bool {
	return i == nil || i.session.Holds(i.flow.sandbox.interception.Load())
}

// reset closes the connections that were made after the first, under the flow's lock.
func (i *inspection) reset() {
	for far := range i.again {
		_ = far.SetLinger(0)
		_ = far.TCPConn.Close()
	}
}

// Rules, Roots, Dial and Tell are what a session asks of its flow.
func (i *inspection) Rules() (*policy.Set, *intercept.Config) {
	return i.flow.sandbox.policies.Load(), i.flow.sandbox.interception.Load()
}

// Roots are those that hold now.
func (i *inspection) Roots() *intercept.Roots { return i.flow.sandbox.roots.Load() }

// Dial hands out the connection that the flow was opened with, then makes others by the same decision.
func (i *inspection) Dial(ctx context.Context) (net.Conn, error) {
	f := i.flow
	f.mu.Lock()
	isFirst := !i.isTaken
	i.isTaken = true
	isFull := len(i.again) >= maxFar
	f.mu.Unlock()
	switch {
	case isFirst:
		return f.upstream, nil
	case isFull || !f.sandbox.rates.connections.Allow():
		return nil, &intercept.Failure{Outcome: intercept.Denied, Reason: reasonLimit}
	}
	reached, _, refused := f.sandbox.connect(ctx, f.host, f.port, netip.Addr{})
	if refused != nil {
		return nil, &intercept.Failure{Outcome: refused.outcome, Reason: refused.reason, By: refused.by}
	}
	return f.sandbox.join(i, reached)
}

// join makes a connection one of a flow's, by what holds now.
func (s *sandbox) join(i *inspection, reached dialled) (net.Conn, error) {
	far := &farConn{reached.conn, i}
	s.mu.Lock()
	defer s.mu.Unlock()
	i.flow.mu.Lock()
	i.again[far] = reached.address
	isCut := i.flow.ended != ""
	i.flow.mu.Unlock()
	verdict := s.permits(i.flow)
	if !isCut && !s.dropped && verdict.Allowed {
		return far, nil
	}
	_ = far.Close()
	return nil, &intercept.Failure{Outcome: intercept.Denied, Reason: reasonChanged, By: verdict}
}

// addresses are those that a flow is connected to.
func (f *flow) addresses() []netip.Addr {
	addresses := []netip.Addr{f.address}
	if f.inspection != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, address := range f.inspection.again {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

// Tell writes an event of the session down.
func (i *inspection) Tell(event intercept.Event) {
	decision := i.flow.decision
	decision.Kind = kindRequest
	if event.Outcome == intercept.Masked {
		decision.Kind = kindResponse
	}
	decision.Method, decision.Path, decision.Secrets = event.Method, event.Path, event.Secrets
	i.flow.sandbox.tell(decision, event.Outcome, event.Reason, event.By)
}

// farConn is a connection to the far end that its flow knows until it is closed.
type farConn struct {
	*net.TCPConn
	inspection *inspection
}

func (c *farConn) Close() error {
	c.inspection.flow.mu.Lock()
	delete(c.inspection.again, c)
	c.inspection.flow.mu.Unlock()
	return c.TCPConn.Close()
}
