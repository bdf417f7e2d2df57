package egress

import "stacyvm/native/internal/egresswire"

// Outcomes of a decision.
const (
	told       = "allowed"
	toldDenied = "denied"
	toldFailed = "failed"
)

// Reasons of decisions beside those of a policy and the codes of failures.
const (
	reasonAlways  = "always_denied"
	reasonSNI     = "sni_mismatch"
	reasonHost    = "host_mismatch"
	reasonLimit   = "limit"
	reasonChanged = "policy_changed"
)

// How connections end.
const (
	endOrderly = "ended"
	endReset   = "reset"
	endIdle    = "idle"
	endPolicy  = "policy_changed"
	endDropped = "dropped"
)

// Kinds of requests.
const (
	kindConnect  = "connect"
	kindResolve  = "resolve"
	kindQuery    = "query"
	kindRequest  = "request"
	kindResponse = "response"
)

func invalid(why string) egresswire.Answer {
	return egresswire.Answer{Error: egresswire.Invalid, Message: why}
}
