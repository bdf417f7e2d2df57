// Package egress is the gateway of all sandboxes to the networks outside. It connects to each sandbox's door, where the
// agent asks it to connect to a name or an address and port; it decides by the sandbox's policies, resolves names itself,
// dials its own answer, and carries the bytes.
package egress

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"

	"stacyvm/native/internal/egress/addresses"
	"stacyvm/native/internal/egress/intercept"
	"stacyvm/native/internal/egress/policy"
)

// Gateway is what all sandboxes share. Its methods are called by one goroutine.
type Gateway struct {
	output    *output
	host      *addresses.Host
	resolvers []netip.AddrPort
	table     atomic.Pointer[addresses.Table]
	roots     atomic.Pointer[intercept.Roots]
	sandboxes map[string]*sandbox
	// ended is what sandboxes did that were dropped.
	ended Usage
}

// errNotConfigured comes before anything else can.
var errNotConfigured = errors.New("configure comes first")

// New returns a gateway that tells its events to a writer.
func New(to io.Writer) (*Gateway, error) {
	host, err := addresses.NewHost()
	if err != nil {
		return nil, fmt.Errorf("this host's addresses can't be read: %w", err)
	}
	return &Gateway{output: newOutput(to), host: host, sandboxes: map[string]*sandbox{}}, nil
}

// Configure sets what holds for all sandboxes, and tells how many flows are no longer allowed by it.
func (g *Gateway) Configure(resolvers []netip.AddrPort, openings []addresses.Opening, roots *intercept.Roots) int {
	g.resolvers = resolvers
	g.table.Store(addresses.NewTable(g.host, openings))
	before := g.roots.Swap(roots)
	cut := 0
	for _, sandbox := range g.sandboxes {
		sandbox.names.Use(resolvers)
		if !roots.Equal(before) {
			cut += sandbox.cutInspected()
		}
		cut += sandbox.recheck()
	}
	return cut
}

// Interception is what holds for a sandbox's requests, nil if nothing does.
func (g *Gateway) Interception(id string) *intercept.Config {
	if known := g.sandboxes[id]; known != nil {
		return known.interception.Load()
	}
	return nil
}

// Set begins to serve a sandbox, or changes how, and tells how many of its flows are no longer allowed.
func (g *Gateway) Set(id string, door Door, policies *policy.Set, limits Limits, interception *intercept.Config) (int, error) {
	if g.table.Load() == nil {
		return 0, errNotConfigured
	}
	known := g.sandboxes[id]
	if known == nil {
		known = newSandbox(id, &g.table, &g.roots, g.resolvers, g.output)
		g.sandboxes[id] = known
	}
	return known.set(door, policies, limits, interception), nil
}

// Drop ends everything of a sandbox.
func (g *Gateway) Drop(id string) int {
	known := g.sandboxes[id]
	if known == nil {
		return 0
	}
	delete(g.sandboxes, id)
	cut := known.drop()
	g.ended = g.ended.plus(known.usage())
	return cut
}

// Total is what all sandboxes did, those that were dropped among them.
func (g *Gateway) Total() Usage {
	total := g.ended
	total.Open = 0
	for _, sandbox := range g.sandboxes {
		total = total.plus(sandbox.usage())
	}
	return total
}

// Usage is what each sandbox did, or the one that is named.
func (g *Gateway) Usage(one string) map[string]Usage {
	usage := map[string]Usage{}
	if one != "" {
		if sandbox := g.sandboxes[one]; sandbox != nil {
			usage[one] = sandbox.usage()
		}
		return usage
	}
	for id, sandbox := range g.sandboxes {
		usage[id] = sandbox.usage()
	}
	return usage
}
