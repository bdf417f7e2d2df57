package intercept

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
)

// farSide is what is known about TLS with the far end.
type farSide struct {
	isTLS bool

	mu sync.Mutex
	// first and failure are what came of the connection that was made before the sandbox's own TLS, until it is taken.
	first   *tls.Conn
	failure error
	// protocols are what later connections are made with: what the sandbox speaks.
	protocols []string
}

const (
	protocolH2 = "h2"
	protocolH1 = "http/1.1"
)

// nearTLS speaks TLS with the sandbox, with a certificate for the host. TLS with the far end comes first, and what that one
// speaks is what the sandbox is offered.
func (s *Session) nearTLS(conn net.Conn) *tls.Conn {
	return tls.Server(conn, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			_, config := s.flow.Rules()
			if config == nil {
				return nil, errors.New("nothing is intercepted any more")
			}
			leaf, err := config.Authority.Leaf(s.host)
			if err != nil {
				return nil, err
			}
			return &tls.Config{
				MinVersion:                  tls.VersionTLS12,
				Certificates:                []tls.Certificate{*leaf},
				NextProtos:                  s.meet(hello.Context(), hello.SupportedProtos),
				SessionTicketsDisabled:      true,
				DynamicRecordSizingDisabled: true,
			}, nil
		},
	})
}

// meet makes TLS with the far end, of what the sandbox offers, and returns what the sandbox is to speak. A far end that
// can't be had is told by an answer to the request that comes.
func (s *Session) meet(ctx context.Context, said []string) []string {
	var offered []string
	for _, protocol := range said {
		if protocol == protocolH2 || protocol == protocolH1 {
			offered = append(offered, protocol)
		}
	}
	conn, err := s.handshake(ctx, offered)
	s.far.mu.Lock()
	defer s.far.mu.Unlock()
	s.far.first, s.far.failure = conn, err
	s.far.protocols = offered
	if len(offered) > 1 {
		s.far.protocols = []string{protocolH1}
		if err == nil && conn.ConnectionState().NegotiatedProtocol == protocolH2 {
			s.far.protocols = []string{protocolH2}
		}
	}
	return s.far.protocols
}

// dialPlain connects without TLS.
func (s *Session) dialPlain(ctx context.Context, _, _ string) (_ net.Conn, err error) {
	defer guard(&err)
	return s.flow.Dial(ctx)
}

// dialTLS hands out the first connection, then makes others.
func (s *Session) dialTLS(ctx context.Context, _, _ string) (_ net.Conn, err error) {
	defer guard(&err)
	s.far.mu.Lock()
	first, failure, protocols := s.far.first, s.far.failure, s.far.protocols
	s.far.first, s.far.failure = nil, nil
	s.far.mu.Unlock()
	switch {
	case first != nil:
		return first, nil
	case failure != nil:
		return nil, failure
	}
	conn, err := s.handshake(ctx, protocols)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// handshake connects to the far end and verifies that it is the host.
func (s *Session) handshake(ctx context.Context, protocols []string) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, headTimeout/2)
	defer cancel()
	raw, err := s.flow.Dial(ctx)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{
		MinVersion:                  tls.VersionTLS12,
		ServerName:                  s.host,
		RootCAs:                     s.flow.Roots().pool,
		NextProtos:                  slices.Clone(protocols),
		DynamicRecordSizingDisabled: true,
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

// failureOf is what is told of a far end that didn't answer as it should.
func failureOf(err error) *Failure {
	var failure *Failure
	var certificate *tls.CertificateVerificationError
	var network net.Error
	switch {
	case errors.As(err, &failure):
		return failure
	case errors.As(err, &certificate):
		return &Failure{Outcome: Failed, Reason: ReasonCertificate}
	case errors.Is(err, errCoding):
		return &Failure{Outcome: Failed, Reason: ReasonCoding}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return &Failure{Outcome: Failed, Reason: reasonTimeout}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ECONNREFUSED):
		return &Failure{Outcome: Failed, Reason: reasonRefused}
	}
	return &Failure{Outcome: Failed, Reason: reasonUnreachable}
}
