// Package resolve asks the operator's resolvers for a sandbox: over UDP, over TCP where an answer was truncated, and never
// for longer than three seconds. Each sandbox has a client of its own, so that none fills another's memory.
package resolve

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sync/singleflight"
)

// maxRemembered bounds the names that one sandbox's client remembers.
const maxRemembered = 256

// maxLookups bounds a client's questions at once.
const maxLookups = 32

// secondFamilyTimeout is how long IPv6 addresses are waited for once there are IPv4 ones (RFC 8305, 3).
const secondFamilyTimeout = 50 * time.Millisecond

// Client looks names up for one sandbox.
type Client struct {
	flights singleflight.Group
	slots   chan struct{}
	now     func() time.Time

	mu         sync.Mutex
	resolvers  []netip.AddrPort
	generation int
	remembered map[string]remembered
}

type remembered struct {
	result Result
	until  time.Time
}

// NewClient returns a client that asks these resolvers.
func NewClient(resolvers []netip.AddrPort) *Client {
	client := &Client{slots: make(chan struct{}, maxLookups), now: time.Now}
	client.Use(resolvers)
	return client
}

// Use replaces the resolvers and forgets what the former ones said.
func (c *Client) Use(resolvers []netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resolvers, c.remembered = resolvers, map[string]remembered{}
	c.generation++
}

// Lookup returns the addresses of a name, IPv4 ones first. allowed is asked before a resolver is: what it refuses is
// Unavailable, and what is remembered doesn't ask it.
func (c *Client) Lookup(ctx context.Context, name string, allowed func() bool) Result {
	if known, ok := c.recall(name); ok {
		return known
	}
	if !allowed() {
		return Result{}
	}
	// One flight for all who ask: it outlives the first of them, and has its own bound.
	flight := c.flights.DoChan(name, func() (any, error) { return c.lookup(name), nil })
	select {
	case <-ctx.Done():
		return Result{}
	case shared := <-flight:
		return shared.Val.(Result)
	}
}

func (c *Client) lookup(name string) Result {
	ctx, cancel := context.WithTimeout(context.Background(), totalTimeout)
	defer cancel()
	if !c.enter(ctx) {
		return Result{}
	}
	defer c.leave()
	c.mu.Lock()
	resolvers, generation := c.resolvers, c.generation
	c.mu.Unlock()

	ask := func(kind dnsmessage.Type) <-chan Result {
		answer := make(chan Result, 1)
		go func() { answer <- c.ask(ctx, resolvers, name, kind) }()
		return answer
	}
	result := join(ask(dnsmessage.TypeA), ask(dnsmessage.TypeAAAA))
	c.remember(name, result, generation)
	return result
}

// join makes one result of both families' answers.
func join(four, six <-chan Result) Result {
	result := <-four
	switch result.Outcome {
	case UnknownHost:
		return result
	case Found:
		timer := time.NewTimer(secondFamilyTimeout)
		defer timer.Stop()
		select {
		case <-timer.C:
		case other := <-six:
			if other.Outcome == Found {
				result.Addresses = append(result.Addresses, other.Addresses...)
				result.TTL = min(result.TTL, other.TTL)
			}
		}
		return result
	}
	other := <-six
	if other.Outcome == Unavailable || other.Outcome == NoAddress && result.Outcome == Unavailable {
		// Half an answer says nothing of the other half.
		return Result{}
	}
	if other.Outcome == NoAddress {
		other.TTL = min(result.TTL, other.TTL)
	}
	return other
}

func (c *Client) ask(ctx context.Context, resolvers []netip.AddrPort, name string, kind dnsmessage.Type) Result {
	full, err := dnsmessage.NewName(name + ".")
	if err != nil {
		return Result{}
	}
	message, err := exchange(ctx, resolvers, dnsmessage.Question{Name: full, Type: kind, Class: dnsmessage.ClassINET})
	if err != nil {
		return Result{}
	}
	return read(message, full.String())
}

func (c *Client) enter(ctx context.Context) bool {
	select {
	case c.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Client) leave() { <-c.slots }

func (c *Client) recall(name string) (Result, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.remembered[name]
	left := known.until.Sub(c.now())
	if !ok || left <= 0 {
		return Result{}, false
	}
	known.result.TTL = left
	return known.result, true
}

func (c *Client) remember(name string, result Result, generation int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if result.Outcome == Unavailable || result.TTL <= 0 || generation != c.generation {
		return
	}
	if len(c.remembered) >= maxRemembered {
		c.makeRoom()
	}
	c.remembered[name] = remembered{result, c.now().Add(result.TTL)}
}

// makeRoom forgets what has expired, or else any one name: a sandbox that asks for many only loses its own.
func (c *Client) makeRoom() {
	now := c.now()
	for name, known := range c.remembered {
		if !known.until.After(now) {
			delete(c.remembered, name)
		}
	}
	for name := range c.remembered {
		if len(c.remembered) < maxRemembered {
			return
		}
		delete(c.remembered, name)
	}
}
