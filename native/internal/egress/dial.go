package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"stacyvm/native/internal/egresswire"
)

const (
	// dialTimeout bounds a connection's making, over all addresses of a name.
	dialTimeout = 10 * time.Second
	// nextTimeout is how long one address is waited for before the next is tried beside it (RFC 8305, 5).
	nextTimeout = 250 * time.Millisecond
	// maxDialled bounds the addresses of a name that are tried.
	maxDialled = 6
)

type dialled struct {
	conn    *net.TCPConn
	address netip.Addr
	err     error
}

// errNotDecided is a dial of something else than what was decided; it can't happen unless the code is wrong.
var errNotDecided = errors.New("this isn't the address that was decided on")

// dial connects to the first address that answers, in their order. A failure names the address that it is told of.
func dial(ctx context.Context, addresses []netip.Addr, port uint16) dialled {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addresses = addresses[:min(len(addresses), maxDialled)]
	results := make(chan dialled, len(addresses))
	var failure dialled
	for begun, ended := 0, 0; ended < len(addresses); {
		var next <-chan time.Time
		if begun < len(addresses) {
			go func(address netip.Addr) { results <- dialOne(ctx, netip.AddrPortFrom(address, port)) }(addresses[begun])
			if begun++; begun < len(addresses) {
				timer := time.NewTimer(nextTimeout)
				defer timer.Stop()
				next = timer.C
			}
		}
		select {
		case result := <-results:
			ended++
			if result.err == nil {
				go discard(results, begun-ended)
				return result
			}
			if failure.err == nil || codeOf(failure.err) == egresswire.Unreachable {
				failure = result
			}
		case <-next:
		}
	}
	return failure
}

// discard closes connections that came after another one was taken.
func discard(results <-chan dialled, left int) {
	for range left {
		if late := <-results; late.err == nil {
			_ = late.conn.Close()
		}
	}
}

func dialOne(ctx context.Context, target netip.AddrPort) dialled {
	dialer := net.Dialer{
		Control: func(_, address string, _ syscall.RawConn) error {
			if at, err := netip.ParseAddrPort(address); err != nil || at != target {
				return errNotDecided
			}
			return nil
		},
	}
	conn, err := dialer.DialContext(ctx, "tcp", target.String())
	if err != nil {
		return dialled{address: target.Addr(), err: err}
	}
	return dialled{conn: conn.(*net.TCPConn), address: target.Addr()}
}

// codeOf is what an answer says of a failed dial.
func codeOf(err error) string {
	var network net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return egresswire.Refused
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return egresswire.Timeout
	}
	return egresswire.Unreachable
}
