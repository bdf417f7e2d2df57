package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"stacyvm/native/internal/egress/intercept"
	"stacyvm/native/internal/egresswire"
)

// flow is one connection of a sandbox: the agent's slot on one side, what it reached on the other.
type flow struct {
	sandbox  *sandbox
	id       uint64
	host     string
	address  netip.Addr
	port     uint16
	slot     *net.UnixConn
	upstream *net.TCPConn
	decision Decision
	told     bool
	// inspection is there where requests are decided on one by one.
	inspection *inspection
	// finder looks for placeholders in what the sandbox sends where nothing else does.
	finder intercept.Finder

	// said is the name that a client said on a connection to a literal address.
	said           atomic.Pointer[string]
	sent, received atomic.Int64
	lastByte       atomic.Int64

	// upEnded and downEnded: the sandbox, the other end has said that nothing more comes.
	upEnded, downEnded atomic.Bool

	ctx    context.Context
	cancel context.CancelFunc

	mu    sync.Mutex
	ended string
	timer *time.Timer
}

func newFlow(s *sandbox, slot *net.UnixConn, id uint64, host string, port uint16) *flow {
	f := &flow{sandbox: s, slot: slot, id: id, host: host, port: port}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.lastByte.Store(time.Now().UnixNano())
	return f
}

// cut resets both sides; it tells whether the flow was still alive.
func (f *flow) cut(reason string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended != "" {
		return false
	}
	f.ended = reason
	f.cancel()
	_ = f.upstream.SetLinger(0)
	_ = f.upstream.Close()
	if f.inspection != nil {
		f.inspection.reset()
	}
	_ = f.slot.Close()
	return true
}

// closeFar closes what is open to the other end.
func (f *flow) closeFar() {
	_ = f.upstream.Close()
	if f.inspection != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.inspection.reset()
	}
}

// run carries bytes both ways and returns how the connection ended.
func (f *flow) run() string {
	f.watchIdle()
	if f.inspection != nil {
		return f.inspection.run()
	}
	var down sync.WaitGroup
	down.Go(func() {
		defer survive(f.sandbox, func() { f.cut(endReset) })
		f.down()
	})
	f.up()
	down.Wait()
	return f.end(endOrderly)
}

// end is told how the connection ended, and returns how it did if that was earlier.
func (f *flow) end(reason string) string {
	f.cancel()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
	}
	if f.ended == "" {
		f.ended = reason
	}
	return f.ended
}

// up carries what the sandbox sends.
func (f *flow) up() {
	err := f.look()
	if err == nil {
		err = f.pump(f.ctx, f.upstream, f.slot, &f.sent, f.search)
	}
	var why *mismatch
	if errors.As(err, &why) {
		f.refuse(why)
		return
	}
	if err != io.EOF {
		f.cut(endReset)
		return
	}
	if egresswire.HungUp(f.slot) && !f.downEnded.Load() {
		f.cut(endReset)
		return
	}
	_ = f.upstream.CloseWrite()
	f.upEnded.Store(true)
	if f.downEnded.Load() {
		return
	}
	// Nothing is read from here on; whether the sandbox goes away still has to be seen.
	egresswire.WaitHangup(f.slot)
	if !f.downEnded.Load() {
		f.cut(endReset)
	}
}

// down carries what the sandbox receives.
func (f *flow) down() {
	if err := f.pump(f.ctx, f.slot, f.upstream, &f.received, nil); err != io.EOF {
		f.cut(endReset)
		return
	}
	f.downEnded.Store(true)
	_ = f.slot.CloseWrite()
	if f.upEnded.Load() {
		_ = f.slot.Close()
	}
}

// watchIdle begins, or begins anew, to look for a flow on which nothing comes.
func (f *flow) watchIdle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
	if idle := f.sandbox.limits.Load().idle(); idle > 0 && f.ended == "" {
		f.timer = time.AfterFunc(f.idleLeft(idle), f.checkIdle)
	}
}

func (f *flow) checkIdle() {
	idle := f.sandbox.limits.Load().idle()
	if idle > 0 && f.idleLeft(idle) <= 0 {
		f.cut(endIdle)
		return
	}
	f.watchIdle()
}

func (f *flow) idleLeft(idle time.Duration) time.Duration {
	return idle - time.Since(time.Unix(0, f.lastByte.Load()))
}

func (f *flow) tellClosed(reason string) {
	if f.told {
		f.sandbox.journal.closed(Closed{Flow: f.id, Sent: f.sent.Load(), Received: f.received.Load(), Reason: reason})
	}
}

// leadsHome tells whether a connection's other end is this host, at whatever address: what leaves a host has an address of
// an interface, what comes back to it is from where it goes.
func leadsHome(conn *net.TCPConn) bool {
	local, isLocal := conn.LocalAddr().(*net.TCPAddr)
	remote, isRemote := conn.RemoteAddr().(*net.TCPAddr)
	return !isLocal || !isRemote || local.IP.Equal(remote.IP)
}
