package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"stacyvm/native/internal/egress/addresses"
	"stacyvm/native/internal/egress/resolve"
	"stacyvm/native/internal/egresswire"
)

// Client is the server's own way out: what it asks for somebody is decided by the table of always-denied addresses, on the
// address that is dialled, as for sandboxes.
type Client struct {
	names *resolve.Client
	table *addresses.Table
	known map[string]struct{}
}

// ErrInternal is what comes of a host whose addresses are all always denied.
var ErrInternal = errors.New("is on an internal address")

// NewClient reads what a client may reach. The known are hosts with ports that the operator named: they may be anywhere,
// and are resolved as this host resolves names.
func NewClient(networks Networks, known []string) (*Client, error) {
	resolvers, openings, err := networks.read()
	if err != nil {
		return nil, err
	}
	host, err := addresses.NewHost()
	if err != nil {
		return nil, fmt.Errorf("this host's addresses can't be read: %w", err)
	}
	client := &Client{
		names: resolve.NewClient(resolvers), table: addresses.NewTable(host, openings), known: map[string]struct{}{},
	}
	for i, authority := range known {
		host, port, err := split(authority)
		if err != nil {
			return nil, fmt.Errorf("known[%d]: %w", i, err)
		}
		client.known[join(host, port)] = struct{}{}
	}
	return client, nil
}

// Dial connects to a host and port, for example registry.example:443 or [2001:db8::1]:443.
func (c *Client) Dial(ctx context.Context, authority string) (*net.TCPConn, error) {
	host, port, err := split(authority)
	if err != nil {
		return nil, err
	}
	if c.knows(host, port) {
		conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", join(host, port))
		if err != nil {
			return nil, err
		}
		return conn.(*net.TCPConn), nil
	}
	candidates, err := c.candidates(ctx, host, port)
	if err != nil {
		return nil, err
	}
	result := dial(ctx, candidates, port)
	if result.err != nil {
		return nil, result.err
	}
	if leadsHome(result.conn) && !c.table.Opens(result.address, port) {
		_ = result.conn.Close()
		return nil, fmt.Errorf("%s %w", join(host, port), ErrInternal)
	}
	return result.conn, nil
}

// Decide tells whether Dial would connect, without connecting: an ErrInternal, or why a name has no address.
func (c *Client) Decide(ctx context.Context, authority string) error {
	host, port, err := split(authority)
	if err != nil || c.knows(host, port) {
		return err
	}
	_, err = c.candidates(ctx, host, port)
	return err
}

func (c *Client) knows(host string, port uint16) bool {
	_, known := c.known[join(host, port)]
	return known
}

// candidates are the addresses of a host that may be dialled.
func (c *Client) candidates(ctx context.Context, host string, port uint16) ([]netip.Addr, error) {
	found, err := c.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(slices.Clone(found), func(address netip.Addr) bool { return c.table.Denies(address, port) })
	if len(found) == 0 {
		return nil, fmt.Errorf("%s %w", join(host, port), ErrInternal)
	}
	return found, nil
}

// lookup returns a name's addresses, or the address that it is.
func (c *Client) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if literal, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{literal}, nil
	}
	result := resolve.Result{Outcome: resolve.UnknownHost}
	if !egresswire.IsNumeric(host) {
		result = c.names.Lookup(ctx, host, func() bool { return true })
	}
	switch result.Outcome {
	case resolve.Found:
		return result.Addresses, nil
	case resolve.Unavailable:
		return nil, &net.DNSError{Err: "no resolver answers", Name: host, IsTemporary: true}
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// split reads a name as it is compared, or an address, and a port.
func split(authority string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(authority)
	if err != nil {
		return "", 0, err
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return "", 0, fmt.Errorf("%q has no port", authority)
	}
	if literal, err := netip.ParseAddr(host); err == nil {
		return literal.String(), uint16(number), nil
	}
	name, ok := egresswire.Name(host)
	if !ok {
		return "", 0, fmt.Errorf("%q is no host", host)
	}
	return name, uint16(number), nil
}

func join(host string, port uint16) string { return net.JoinHostPort(host, strconv.Itoa(int(port))) }
