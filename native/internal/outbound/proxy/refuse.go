package proxy

import (
	"errors"
	"net/http"
	"strings"

	"stacyvm/native/internal/egresswire"
	"stacyvm/native/internal/outbound"
)

var errBusy = errors.New("too many connections are being opened; try again")

// refuse answers in words. Kind is that of Proxy-Status (RFC 9209), by which programs tell our answers from the far end's.
func refuse(w http.ResponseWriter, status int, kind, message string) {
	if kind == "" {
		kind = "http_request_error"
	}
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Proxy-Status", "stacyvm; error="+kind)
	w.WriteHeader(status)
	_, _ = w.Write([]byte("stacyvm: " + message + "\n"))
}

// fail answers as the gateway said.
func fail(w http.ResponseWriter, what string, err error) {
	status, kind, message := explain(err)
	refuse(w, status, kind, printable(what)+": "+message)
}

func explain(err error) (status int, kind, message string) {
	var refusal *outbound.Refusal
	if errors.Is(err, errTarget) {
		return http.StatusBadRequest, "http_request_error", err.Error()
	}
	if errors.Is(err, errBusy) {
		return http.StatusServiceUnavailable, "connection_limit_reached", err.Error()
	}
	if errors.Is(err, outbound.ErrGateway) {
		return http.StatusBadGateway, "proxy_internal_error", "the egress gateway is not there; try again"
	}
	if !errors.As(err, &refusal) {
		return http.StatusBadGateway, "http_protocol_error", "the far end ended the connection, or does not speak HTTP"
	}
	said := printable(refusal.Message)
	switch refusal.Code {
	case egresswire.Denied:
		return http.StatusForbidden, "http_request_denied", "denied: " + said
	case egresswire.Timeout:
		return http.StatusGatewayTimeout, "connection_timeout", "timeout: " + said
	case egresswire.Limit:
		return http.StatusServiceUnavailable, "connection_limit_reached", "limit: " + said
	case egresswire.Refused:
		kind = "connection_refused"
	case egresswire.UnknownHost, egresswire.NoAddress, egresswire.Unavailable:
		kind = "dns_error"
	default:
		kind = "destination_ip_unroutable"
	}
	return http.StatusBadGateway, kind, printable(refusal.Code) + ": " + said
}

const printableMax = 300

// printable shortens a text of somebody else's, and keeps of it what belongs on a line.
func printable(text string) string {
	if len(text) > printableMax {
		text = text[:printableMax]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}
