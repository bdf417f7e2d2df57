package egress

import (
	"context"
	"encoding/base64"
	"net"
	"net/netip"

	"stacyvm/native/internal/egress/policy"
	"stacyvm/native/internal/egress/resolve"
	"stacyvm/native/internal/egresswire"
)

// refusal is why a connection isn't opened: what the agent is told, and what is written down.
type refusal struct {
	code    string
	message string
	outcome string
	reason  string
	by      policy.Verdict
	address netip.Addr
}

func denial(by policy.Verdict, address netip.Addr) *refusal {
	return &refusal{egresswire.Denied, "the policy doesn't allow it", toldDenied, by.Reason, by, address}
}

func alwaysDenied(address netip.Addr) *refusal {
	return &refusal{egresswire.Denied, "this address is reached from no sandbox", toldDenied, reasonAlways, policy.Verdict{}, address}
}

// open answers a request for a connection and carries it until it ends.
func (s *sandbox) open(ctx context.Context, slot *net.UnixConn, request egresswire.Request) {
	decision := Decision{Kind: kindConnect, Host: request.Host, Address: request.Address}
	literal, wrong := check(&request)
	if wrong != "" {
		_ = egresswire.Write(slot, invalid(wrong))
		return
	}
	decision.Host, decision.Port = request.Host, uint16(request.Port)
	id, admitted := s.admit()
	decision.Flow = id
	if !admitted {
		s.tell(decision, toldDenied, reasonLimit, policy.Verdict{})
		_ = egresswire.Write(slot, egresswire.Answer{Error: egresswire.Limit, Message: "the sandbox has as many connections, or new ones a second, as it may"})
		return
	}
	flow := newFlow(s, slot, id, request.Host, uint16(request.Port))
	reached, verdict, refused := s.connect(ctx, flow.host, flow.port, literal)
	if refused == nil {
		flow.upstream, flow.address = reached.conn, reached.address
		defer flow.closeFar()
		if changed := s.begin(flow); !changed.Allowed {
			refused = denial(changed, flow.address)
		}
	}
	s.withdraw()
	if refused != nil {
		if refused.address.IsValid() {
			decision.Address = refused.address.String()
		}
		s.tell(decision, refused.outcome, refused.reason, refused.by)
		_ = egresswire.Write(slot, egresswire.Answer{Error: refused.code, Message: refused.message})
		return
	}
	defer s.finish(flow)
	decision.Address = flow.address.String()
	flow.decision = decision
	flow.told = s.tell(decision, told, verdict.Reason, verdict)
	reason := endReset
	if egresswire.Write(slot, egresswire.Answer{OK: true}) == nil {
		reason = flow.run()
	}
	flow.tellClosed(flow.end(reason))
}

// check reads what a request asks for; wrong says what is wrong with it.
func check(request *egresswire.Request) (literal netip.Addr, wrong string) {
	if request.Port < 1 || request.Port > 65_535 {
		return literal, "port is none"
	}
	if (request.Host == "") == (request.Address == "") {
		return literal, "a connection is to a host or to an address, one of them"
	}
	if request.Address != "" {
		literal, err := netip.ParseAddr(request.Address)
		if err != nil {
			return literal, "address is none"
		}
		return literal, ""
	}
	name, ok := egresswire.Name(request.Host)
	if !ok {
		return literal, "host is no name"
	}
	request.Host = name
	return literal, ""
}

// connect decides on a connection to a name, or to an address if there is none, and dials what was decided on.
func (s *sandbox) connect(ctx context.Context, host string, port uint16, literal netip.Addr) (dialled, policy.Verdict, *refusal) {
	var verdict policy.Verdict
	candidates := []netip.Addr{literal}
	if host == "" {
		if s.table.Load().Denies(literal, port) {
			return dialled{}, verdict, alwaysDenied(literal)
		}
		if verdict = s.policies.Load().Address(literal, port); !verdict.Allowed {
			return dialled{}, verdict, denial(verdict, literal)
		}
	} else {
		if verdict = s.policies.Load().Name(host, port); !verdict.Allowed {
			return dialled{}, verdict, denial(verdict, netip.Addr{})
		}
		var refused *refusal
		if candidates, refused = s.candidates(ctx, host, port); refused != nil {
			return dialled{}, verdict, refused
		}
	}
	result := dial(ctx, candidates, port)
	if result.err != nil {
		code := codeOf(result.err)
		return result, verdict, &refusal{code, "the connection can't be made", toldFailed, code, verdict, result.address}
	}
	if leadsHome(result.conn) && !s.table.Load().Opens(result.address, port) {
		_ = result.conn.Close()
		return result, verdict, alwaysDenied(result.address)
	}
	return result, verdict, nil
}

// candidates are the addresses of a name that may be dialled.
func (s *sandbox) candidates(ctx context.Context, host string, port uint16) ([]netip.Addr, *refusal) {
	result, limited := s.lookup(ctx, host)
	if result.Outcome != resolve.Found {
		code, reason := codeOfOutcome(result.Outcome, limited)
		switch {
		case limited:
			code = egresswire.Limit
		case code == egresswire.NoAddress:
			code = egresswire.UnknownHost
		case code == egresswire.Unavailable:
			code = egresswire.Timeout
		}
		return nil, &refusal{code, "the name can't be resolved", toldFailed, reason, policy.Verdict{}, netip.Addr{}}
	}
	table, set := s.table.Load(), s.policies.Load()
	var candidates []netip.Addr
	var refused *refusal
	for _, address := range result.Addresses {
		verdict := set.Candidate(address, port)
		switch {
		case table.Denies(address, port):
			refused = firstOf(refused, alwaysDenied(address))
		case !verdict.Allowed:
			refused = firstOf(refused, denial(verdict, address))
		default:
			candidates = append(candidates, address)
		}
	}
	if len(candidates) > 0 {
		return candidates, nil
	}
	return nil, refused
}

func firstOf(refused, next *refusal) *refusal {
	if refused != nil {
		return refused
	}
	return next
}

// lookup asks for a name that the policy allows; a number is nobody's. limited: the sandbox asks more than it may.
func (s *sandbox) lookup(ctx context.Context, host string) (result resolve.Result, limited bool) {
	if egresswire.IsNumeric(host) {
		return resolve.Result{Outcome: resolve.UnknownHost}, false
	}
	result = s.names.Lookup(ctx, host, func() bool {
		limited = !s.rates.questions.Allow()
		return !limited
	})
	return result, limited
}

func codeOfOutcome(outcome resolve.Outcome, limited bool) (code, reason string) {
	if limited {
		return egresswire.Unavailable, reasonLimit
	}
	switch outcome {
	case resolve.UnknownHost:
		return egresswire.UnknownHost, egresswire.UnknownHost
	case resolve.NoAddress:
		return egresswire.NoAddress, egresswire.UnknownHost
	}
	return egresswire.Unavailable, egresswire.Timeout
}

// resolve answers whether a name exists and may be connected to.
func (s *sandbox) resolve(ctx context.Context, request egresswire.Request) egresswire.Answer {
	name, ok := egresswire.Name(request.Host)
	if !ok {
		return invalid("host is no name")
	}
	decision := Decision{Kind: kindResolve, Host: name}
	if verdict := s.policies.Load().Resolve(name); !verdict.Allowed {
		s.tell(decision, toldDenied, verdict.Reason, verdict)
		return egresswire.Answer{Error: egresswire.Denied, Message: "the policy doesn't allow it"}
	}
	result, limited := s.lookup(ctx, name)
	if result.Outcome != resolve.Found {
		code, reason := codeOfOutcome(result.Outcome, limited)
		s.tell(decision, toldFailed, reason, policy.Verdict{})
		return egresswire.Answer{Error: code, Message: "the name can't be resolved"}
	}
	return egresswire.Answer{OK: true, TTL: uint32(result.TTL.Seconds())}
}

// query answers a DNS query for another type than addresses.
func (s *sandbox) query(ctx context.Context, request egresswire.Request) egresswire.Answer {
	message, err := base64.StdEncoding.DecodeString(request.Message)
	if err != nil {
		return invalid("message is no base64")
	}
	query, err := resolve.ReadQuery(message)
	if err != nil {
		return invalid(err.Error())
	}
	decision := Decision{Kind: kindQuery, Host: query.Name}
	set := s.policies.Load()
	if verdict := set.Resolve(query.Name); !verdict.Allowed {
		s.tell(decision, toldDenied, verdict.Reason, verdict)
		return egresswire.Answer{Error: egresswire.Denied, Message: "the policy doesn't allow it"}
	}
	var reply []byte
	switch {
	case set.HasAllowlist():
		reply, err = query.Empty()
	case !s.rates.questions.Allow():
		s.tell(decision, toldFailed, reasonLimit, policy.Verdict{})
		return egresswire.Answer{Error: egresswire.Unavailable, Message: "the sandbox asks more than it may"}
	default:
		reply, err = s.names.Forward(ctx, query)
	}
	if err != nil {
		s.tell(decision, toldFailed, egresswire.Timeout, policy.Verdict{})
		return egresswire.Answer{Error: egresswire.Unavailable, Message: "no resolver answers"}
	}
	return egresswire.Answer{OK: true, Message: base64.StdEncoding.EncodeToString(reply)}
}
