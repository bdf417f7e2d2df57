package egress

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"

	"stacyvm/native/internal/egress/addresses"
	"stacyvm/native/internal/egress/intercept"
	"stacyvm/native/internal/egress/policy"
)

// lineBytes is the longest line that the server may send.
const lineBytes = 4 << 20

// command is a line of the server, with the members of every operation.
type command struct {
	ID int64  `json:"id"`
	Op string `json:"op"`
	Networks
	Sandbox   string          `json:"sandbox"`
	Door      string          `json:"door"`
	GuestMade bool            `json:"guest_made"`
	Relayed   bool            `json:"relayed"`
	Policies  []policy.Policy `json:"policies"`
	Limits    Limits          `json:"limits"`
	// Roots are authorities, PEM, that far ends may have beside those of the system.
	Roots string `json:"roots"`
	// Interception is there where a sandbox's requests to some hosts are looked at.
	Interception *intercept.Spec `json:"interception"`
}

// Networks say whom names are asked of, and what of the always-denied the operator opens.
type Networks struct {
	Resolvers []string  `json:"resolvers"` // addresses with ports
	Open      []opening `json:"open"`
}

type opening struct {
	CIDR  string  `json:"cidr"`
	Ports [][]int `json:"ports"`
}

type answer struct {
	ID    int64  `json:"id"`
	OK    any    `json:"ok,omitempty"`
	Error string `json:"error,omitempty"`
}

type cutAnswer struct {
	Cut int `json:"cut"`
}

type setAnswer struct {
	Cut int `json:"cut"`
	// Authority is the certificate, PEM, of what the sandbox has to trust.
	Authority string `json:"authority,omitempty"`
}

type usageAnswer struct {
	Sandboxes map[string]Usage `json:"sandboxes"`
	Total     Usage            `json:"total"`
}

// Serve does what the lines of the input say until it ends, and with it every connection.
func (g *Gateway) Serve(input io.Reader) error {
	defer g.output.end()
	lines := bufio.NewScanner(input)
	lines.Buffer(make([]byte, 0, 64<<10), lineBytes)
	for lines.Scan() {
		var line command
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		err := decoder.Decode(&line)
		reply := answer{ID: line.ID}
		if err == nil {
			reply.OK, err = g.do(&line)
		}
		if err != nil {
			reply.OK, reply.Error = nil, err.Error()
		}
		if !g.output.answer(reply) {
			return errors.New("nobody reads what is answered")
		}
	}
	for id := range g.sandboxes {
		g.Drop(id)
	}
	return lines.Err()
}

func (g *Gateway) do(line *command) (any, error) {
	switch line.Op {
	case "configure":
		resolvers, openings, err := line.read()
		if err != nil {
			return nil, err
		}
		roots, err := intercept.ReadRoots(line.Roots)
		if err != nil {
			return nil, err
		}
		return cutAnswer{g.Configure(resolvers, openings, roots)}, nil
	case "set":
		return g.doSet(line)
	case "drop":
		return cutAnswer{g.Drop(line.Sandbox)}, nil
	case "usage":
		return usageAnswer{g.Usage(line.Sandbox), g.Total()}, nil
	}
	return nil, fmt.Errorf("op: %q is none of configure, set, drop, usage", line.Op)
}

func (g *Gateway) doSet(line *command) (any, error) {
	if line.Sandbox == "" || !filepath.IsAbs(line.Door) {
		return nil, errors.New("sandbox and door: a sandbox has an id and an absolute path")
	}
	if err := line.Limits.check(); err != nil {
		return nil, err
	}
	policies, err := policy.Compile(line.Policies)
	if err != nil {
		return nil, err
	}
	door := Door{line.Door, line.GuestMade, line.Relayed}
	if line.Interception == nil {
		if policies.HasInspection() {
			return nil, errors.New("interception: is missing, and a rule inspects")
		}
		cut, err := g.Set(line.Sandbox, door, policies, line.Limits, nil)
		return setAnswer{Cut: cut}, err
	}
	interception, err := intercept.Compile(line.Interception, g.Interception(line.Sandbox))
	if err != nil {
		return nil, err
	}
	cut, err := g.Set(line.Sandbox, door, policies, line.Limits, interception)
	return setAnswer{cut, interception.Authority.PEM()}, err
}

func (n *Networks) read() ([]netip.AddrPort, []addresses.Opening, error) {
	var resolvers []netip.AddrPort
	for i, text := range n.Resolvers {
		resolver, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, nil, fmt.Errorf("resolvers[%d]: %q is no address and port", i, text)
		}
		resolvers = append(resolvers, resolver)
	}
	var openings []addresses.Opening
	for i, from := range n.Open {
		network, err := policy.Network(from.CIDR)
		if err != nil {
			return nil, nil, fmt.Errorf("open[%d].cidr: %w", i, err)
		}
		ports, err := policy.Ports(from.Ports)
		if err != nil {
			return nil, nil, fmt.Errorf("open[%d].ports%w", i, err)
		}
		openings = append(openings, addresses.Opening{Network: network, Ports: ports})
	}
	return resolvers, openings, nil
}
