package intercept

import (
	"encoding/json"
	"fmt"
	"net/http"

	"stacyvm/native/internal/egress/policy"
)

// refusal is an answer of the gateway's own.
type refusal struct {
	status  int
	outcome string
	reason  string
	by      policy.Verdict
	// kind is the error's type as Proxy-Status has it (RFC 9209), text what to do about it.
	kind string
	text string
}

const requestDenied = "http_request_denied"

func deny(status int, reason, text string) *refusal {
	return &refusal{status: status, outcome: Denied, reason: reason, kind: requestDenied, text: text}
}

var (
	refuseHost = deny(http.StatusMisdirectedRequest, ReasonHost,
		"the request names another host than its connection: connect to the host that it is for")
	refuseMethod = deny(http.StatusMethodNotAllowed, ReasonMethod, "TRACE and CONNECT aren't carried")
	refusePath   = deny(http.StatusForbidden, ReasonPath,
		"rules for paths hold here, and this path can be read in several ways: write it without . and .. segments, empty segments, encoded separators and double encoding")
	refusePlaceholder = deny(http.StatusForbidden, ReasonPlaceholder,
		"a secret's placeholder is where it isn't replaced: it is in header values of HTTPS requests to its own host")
	refuseUnavailable = deny(http.StatusForbidden, ReasonUnavailable, "a secret for this host isn't available any more: it was revoked, or its owner can't use it")
	refusePlain       = deny(http.StatusForbidden, ReasonNotHTTPS, "requests to this host carry a secret, which goes over HTTPS alone")
)

func refusePolicy(by policy.Verdict) *refusal {
	text := fmt.Sprintf("the network policy %q allows no such request", by.Policy)
	if by.Rule != "" {
		text = fmt.Sprintf("the rule %q of the network policy %q denies this request", by.Rule, by.Policy)
	}
	denied := deny(http.StatusForbidden, by.Reason, text)
	denied.by = by
	return denied
}

// refuseFailure is the answer where the far end gave none.
func refuseFailure(failure *Failure) *refusal {
	answer := &refusal{status: http.StatusBadGateway, outcome: failure.Outcome, reason: failure.Reason, by: failure.By}
	if failure.Outcome == Denied {
		answer.status, answer.kind, answer.text = http.StatusForbidden, requestDenied, "the network policy doesn't allow the connection that the request needs"
		return answer
	}
	switch failure.Reason {
	case ReasonCertificate:
		answer.kind, answer.text = "tls_certificate_error", "the far end's certificate isn't valid for this host; nothing was sent to it"
	case ReasonCoding:
		answer.kind, answer.text = "http_response_content_coding", "the far end's answer is compressed in a way in which no secrets can be found"
	case reasonTimeout:
		answer.kind, answer.text = "connection_timeout", "the far end doesn't answer"
	case reasonRefused:
		answer.kind, answer.text = "connection_terminated", "the far end refused or ended the connection"
	default:
		answer.kind, answer.text = "destination_unavailable", "the far end can't be reached, or doesn't answer in HTTP"
	}
	return answer
}

// refuse answers a request instead of the far end.
func (x *exchange) refuse(w http.ResponseWriter, answer *refusal) {
	if x.hasPlaceholder.Load() {
		x.endSearch()
	} else {
		x.tell(answer.outcome, answer.reason, answer.by)
	}
	body, _ := json.Marshal(map[string]string{"error": answer.text})
	clear(w.Header())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Proxy-Status", "stacyvm; error="+answer.kind)
	w.WriteHeader(answer.status)
	_, _ = w.Write(append(body, '\n'))
}
