package egress

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"stacyvm/native/internal/egress/addresses"
	"stacyvm/native/internal/egress/intercept"
	"stacyvm/native/internal/egress/policy"
	"stacyvm/native/internal/egress/resolve"
	"stacyvm/native/internal/egresswire"
)

// Usage is what one sandbox did since it was set.
type Usage struct {
	Open     int   `json:"open"`
	Allowed  int64 `json:"allowed"`
	Denied   int64 `json:"denied"`
	Failed   int64 `json:"failed"`
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
}

func (u Usage) plus(other Usage) Usage {
	return Usage{
		u.Open + other.Open, u.Allowed + other.Allowed, u.Denied + other.Denied, u.Failed + other.Failed,
		u.Sent + other.Sent, u.Received + other.Received,
	}
}

type sandbox struct {
	table   *atomic.Pointer[addresses.Table]
	roots   *atomic.Pointer[intercept.Roots]
	names   *resolve.Client
	journal *journal
	rates   rates

	allowed, denied, failed atomic.Int64

	// policies, limits and interception are replaced whole; there may be no interception.
	policies     atomic.Pointer[policy.Set]
	limits       atomic.Pointer[Limits]
	interception atomic.Pointer[intercept.Config]

	mu      sync.Mutex
	slots   *slots
	flows   map[uint64]*flow
	opening int
	last    uint64
	dropped bool

	// sent and received are those of flows that have ended.
	sent, received int64
}

func newSandbox(id string, table *atomic.Pointer[addresses.Table], roots *atomic.Pointer[intercept.Roots], resolvers []netip.AddrPort, to *output) *sandbox {
	return &sandbox{
		table:   table,
		roots:   roots,
		names:   resolve.NewClient(resolvers),
		journal: &journal{sandbox: id, output: to},
		rates:   newRates(),
		flows:   map[uint64]*flow{},
	}
}

// set replaces what holds for the sandbox and tells how many flows it cut.
func (s *sandbox) set(door Door, policies *policy.Set, limits Limits, interception *intercept.Config) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policies.Store(policies)
	s.limits.Store(&limits)
	s.interception.Store(interception)
	s.rates.set(limits)
	if s.slots == nil || s.slots.door != door {
		if s.slots != nil {
			s.slots.end()
		}
		s.slots = newSlots(s, door)
	}
	for _, flow := range s.flows {
		flow.watchIdle()
	}
	return s.cutDenied()
}

// recheck cuts the flows that are no longer allowed.
func (s *sandbox) recheck() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cutDenied()
}

// cutInspected cuts the flows whose far ends were trusted by authorities that have changed.
func (s *sandbox) cutInspected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	cut := 0
	for _, flow := range s.flows {
		if flow.inspection != nil && flow.cut(endPolicy) {
			cut++
		}
	}
	return cut
}

// inspects tells whether a connection to a name is looked into, request by request.
func (s *sandbox) inspects(host string, port uint16) bool {
	return host != "" && (s.interception.Load().Of(host, port) != nil || s.policies.Load().Inspects(host, port))
}

func (s *sandbox) cutDenied() int {
	cut := 0
	for _, flow := range s.flows {
		stays := s.permits(flow).Allowed && s.inspects(flow.host, flow.port) == (flow.inspection != nil) && flow.inspection.holds()
		if !stays && flow.cut(endPolicy) {
			cut++
		}
	}
	return cut
}

// permits decides anew on what a flow is: the name that was asked for, the address that was dialled, the name that was said.
func (s *sandbox) permits(flow *flow) policy.Verdict {
	set := s.policies.Load()
	for _, address := range flow.addresses() {
		if s.table.Load().Denies(address, flow.port) {
			return policy.Verdict{Reason: reasonAlways}
		}
	}
	if flow.host == "" {
		verdict := set.Address(flow.address, flow.port)
		if said := flow.said.Load(); verdict.Allowed && said != nil {
			if denial := set.Said(*said, flow.port); !denial.Allowed {
				return denial
			}
		}
		return verdict
	}
	for _, address := range flow.addresses() {
		if verdict := set.Candidate(address, flow.port); !verdict.Allowed {
			return verdict
		}
	}
	return set.Name(flow.host, flow.port)
}

// drop ends everything of the sandbox.
func (s *sandbox) drop() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped = true
	s.slots.end()
	cut := 0
	for _, flow := range s.flows {
		if flow.cut(endDropped) {
			cut++
		}
	}
	return cut
}

// admit counts a connection that is being opened, unless the sandbox has as many as it may.
func (s *sandbox) admit() (id uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	if s.dropped || len(s.flows)+s.opening >= s.limits.Load().connections() || !s.rates.connections.Allow() {
		return s.last, false
	}
	s.opening++
	return s.last, true
}

// withdraw takes back what admit counted.
func (s *sandbox) withdraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
}

// begin makes a flow of an opening, by what holds now: since it was decided on, the policy may have changed.
func (s *sandbox) begin(flow *flow) policy.Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped {
		return policy.Verdict{Reason: reasonChanged}
	}
	if verdict := s.permits(flow); !verdict.Allowed {
		verdict.Reason = reasonChanged
		return verdict
	}
	if s.inspects(flow.host, flow.port) {
		flow.inspection = newInspection(flow)
	}
	s.flows[flow.id] = flow
	return policy.Verdict{Allowed: true}
}

func (s *sandbox) finish(flow *flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.flows, flow.id)
	s.sent += flow.sent.Load()
	s.received += flow.received.Load()
}

func (s *sandbox) usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	usage := Usage{len(s.flows), s.allowed.Load(), s.denied.Load(), s.failed.Load(), s.sent, s.received}
	for _, flow := range s.flows {
		usage.Sent += flow.sent.Load()
		usage.Received += flow.received.Load()
	}
	return usage
}

// tell counts a decision and writes it down; it tells whether the journal took it.
func (s *sandbox) tell(decision Decision, outcome, reason string, by policy.Verdict) bool {
	switch outcome {
	case told:
		s.allowed.Add(1)
	case toldDenied:
		s.denied.Add(1)
	case intercept.Masked:
		// Nothing was decided.
	default:
		s.failed.Add(1)
	}
	decision.Decision, decision.Reason, decision.Rule, decision.Policy = outcome, reason, by.Rule, by.Policy
	return s.journal.decision(decision)
}

// answer answers what isn't a connection; the slot may be asked again.
func (s *sandbox) answer(ctx context.Context, request egresswire.Request) egresswire.Answer {
	switch request.Open {
	case egresswire.OpenResolve:
		return s.resolve(ctx, request)
	case egresswire.OpenDNS:
		return s.query(ctx, request)
	}
	return invalid("open is none of tcp, resolve, dns")
}
