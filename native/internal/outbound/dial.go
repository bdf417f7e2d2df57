package outbound

import (
	"errors"
	"fmt"
	"net"

	"stacyvm/native/internal/egresswire"
)

// Refusal is the gateway's word on a connection that it did not open.
type Refusal struct {
	// Code is one of package egresswire.
	Code string
	// Message is for people.
	Message string
}

func (r *Refusal) Error() string { return r.Message }

// ErrGateway says that the gateway isn't there, or not in its senses.
var ErrGateway = errors.New("no egress gateway answers")

// Connect has the gateway open a TCP connection to a host, a name as egresswire.Name returns it, or to an IP address; the
// other of the two is empty. It takes slotWait and openWait at most. An error is a *Refusal
// or an ErrGateway.
func (d *Door) Connect(host, address string, port int) (*net.UnixConn, error) {
	return d.slots.connect(egresswire.Request{Open: egresswire.OpenTCP, Host: host, Address: address, Port: port})
}

func (s *slots) connect(request egresswire.Request) (*net.UnixConn, error) {
	slot, answer, err := s.ask(request, slotWait, openWait)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGateway, err)
	}
	if !answer.OK {
		_ = slot.Close()
		return nil, &Refusal{Code: answer.Error, Message: answer.Message}
	}
	return slot, nil
}
