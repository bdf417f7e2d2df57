package intercept

import (
	"context"
	"net"

	"stacyvm/native/internal/egress/policy"
)

// Flow is a sandbox's connection to an inspected host, as the gateway carries it.
type Flow interface {
	// Rules are what holds now.
	Rules() (*policy.Set, *Config)
	// Roots are what a far end's certificate is verified with.
	Roots() *Roots
	// Dial connects to the far end. The first connection is the one that was made as the flow was opened. Its errors are
	// *Failure.
	Dial(ctx context.Context) (net.Conn, error)
	// Tell writes a decision down.
	Tell(event Event)
}

// Outcomes of a decision.
const (
	Allowed = "allowed"
	Denied  = "denied"
	Failed  = "failed"
	Masked  = "masked"
)

// Reasons beside those of a policy and of failed connections.
const (
	ReasonHost        = "host_mismatch"
	ReasonMethod      = "method"
	ReasonPath        = "path"
	ReasonPlaceholder = "placeholder"
	ReasonUnavailable = "secret_unavailable"
	ReasonNotHTTP     = "not_http"
	ReasonNotHTTPS    = "not_https"
	ReasonCertificate = "certificate"
	ReasonCoding      = "coding"
	ReasonSecret      = "secret"
	reasonRefused     = "refused"
	reasonTimeout     = "timeout"
	reasonUnreachable = "unreachable"
)

// Event is what was decided on a request, or done to a response.
type Event struct {
	Outcome string
	Reason  string
	By      policy.Verdict
	Method  string
	// Path is without the query.
	Path string
	// Secrets are the names of those that were put in, or masked.
	Secrets []string
}

// Failure is why there is no connection to a far end.
type Failure struct {
	Outcome string
	Reason  string
	By      policy.Verdict
}

func (f *Failure) Error() string { return "the far end can't be connected to: " + f.Reason }
