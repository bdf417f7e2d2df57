package egress

import (
	"errors"
	"time"

	"golang.org/x/time/rate"
)

// Limits are one sandbox's; 0 is none of its own.
type Limits struct {
	Connections          int   `json:"connections"`
	ConnectionsPerSecond int   `json:"connections_per_second"`
	BytesPerSecond       int64 `json:"bytes_per_second"`
	IdleSeconds          int   `json:"idle_seconds"`
}

const (
	// maxConnections holds where a sandbox's limits say nothing.
	maxConnections = 4096
	// maxRequests bounds a sandbox's requests in a second; those beyond it wait.
	maxRequests = 1000
	// maxDoorings bounds how often a second a sandbox's door is knocked at.
	maxDoorings = 500
	// maxQuestions bounds a sandbox's questions to a resolver in a second, with as many again at once.
	maxQuestions = 100
	// copyBytes is what is copied at once, in each direction.
	copyBytes = 64 << 10
)

func (l Limits) check() error {
	if l.Connections < 0 || l.ConnectionsPerSecond < 0 || l.BytesPerSecond < 0 || l.IdleSeconds < 0 {
		return errors.New("limits: one is negative; 0 is none")
	}
	return nil
}

func (l Limits) connections() int {
	if l.Connections == 0 {
		return maxConnections
	}
	return min(l.Connections, maxConnections)
}

func (l Limits) idle() time.Duration { return time.Duration(l.IdleSeconds) * time.Second }

// rates are what a sandbox's limits and the gateway's own let through.
type rates struct {
	connections *rate.Limiter
	bytes       *rate.Limiter
	requests    *rate.Limiter
	doorings    *rate.Limiter
	questions   *rate.Limiter
}

func newRates() rates {
	return rates{
		connections: rate.NewLimiter(rate.Inf, 1),
		bytes:       rate.NewLimiter(rate.Inf, copyBytes),
		requests:    rate.NewLimiter(maxRequests, maxRequests),
		doorings:    rate.NewLimiter(maxDoorings, maxDoorings),
		questions:   rate.NewLimiter(maxQuestions, 2*maxQuestions),
	}
}

func (r *rates) set(limits Limits) {
	set := func(limiter *rate.Limiter, perSecond float64, burst int) {
		if perSecond == 0 {
			limiter.SetLimit(rate.Inf)
			return
		}
		limiter.SetBurst(burst)
		limiter.SetLimit(rate.Limit(perSecond))
	}
	set(r.connections, float64(limits.ConnectionsPerSecond), max(limits.ConnectionsPerSecond, 1))
	// A tenth of a second at once, and what is copied at once in any case.
	set(r.bytes, float64(limits.BytesPerSecond), int(max(limits.BytesPerSecond/10, copyBytes)))
}
