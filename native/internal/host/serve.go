package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
)

const (
	// maxRequestBytes bounds one line of input.
	maxRequestBytes = 1 << 20
	// maxConcurrentVerbs bounds the verbs under way; further ones queue.
	maxConcurrentVerbs = 64
)

type request struct {
	ID     int64           `json:"id"`
	Verb   string          `json:"verb"`
	Args   json.RawMessage `json:"args"`
	Cancel bool            `json:"cancel"` // withdraws the request with this id
}

type response struct {
	ID    int64    `json:"id"`
	OK    any      `json:"ok,omitempty"`
	Error *Failure `json:"error,omitempty"`
}

// event is a line that answers no request: a sandbox has ended by itself.
type event struct {
	Event     string `json:"event"`
	SandboxID string `json:"sandbox_id"`
}

type nothing struct{}

type verb func(h *Host, ctx context.Context, args json.RawMessage) (any, error)

func typed[A any](do func(h *Host, ctx context.Context, args A) (any, error)) verb {
	return func(h *Host, ctx context.Context, raw json.RawMessage) (any, error) {
		var args A
		if err := decodeStrictly(raw, &args); err != nil {
			return nil, err
		}
		return do(h, ctx, args)
	}
}

type sandboxArgs struct {
	SandboxID string `json:"sandbox_id"`
}

type consoleArgs struct {
	SandboxID string `json:"sandbox_id"`
	MaxBytes  int64  `json:"max_bytes"`
}

// verbs is everything that this program does.
var verbs = map[string]verb{
	"spawn": typed(func(h *Host, ctx context.Context, a SpawnRequest) (any, error) { return h.Spawn(ctx, a) }),
	"destroy": typed(func(h *Host, ctx context.Context, a sandboxArgs) (any, error) {
		// Not withdrawn with its request: half a destroy helps nobody.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
		defer cancel()
		return nothing{}, h.Destroy(bounded, a.SandboxID)
	}),
	"list":        typed(func(h *Host, ctx context.Context, _ nothing) (any, error) { return h.List(ctx) }),
	"inspect":     typed(func(h *Host, ctx context.Context, a sandboxArgs) (any, error) { return h.Inspect(ctx, a.SandboxID) }),
	"spawn-mock":  typed(func(h *Host, ctx context.Context, a MockRequest) (any, error) { return h.SpawnMock(ctx, a) }),
	"spawn-proot": typed(func(h *Host, ctx context.Context, a PRootRequest) (any, error) { return h.SpawnPRoot(ctx, a) }),
	"probe":       typed(func(h *Host, ctx context.Context, _ nothing) (any, error) { return h.Probe(ctx) }),
	"egress-tun":  typed(func(h *Host, _ context.Context, a TunRequest) (any, error) { return nothing{}, h.Tun(a) }),
	"egress-wall": typed(func(h *Host, ctx context.Context, a WallRequest) (any, error) { return nothing{}, h.Wall(ctx, a) }),
	"console": typed(func(h *Host, _ context.Context, a consoleArgs) (any, error) {
		return h.Console(a.SandboxID, a.MaxBytes)
	}),
	"usage": typed(func(h *Host, _ context.Context, a sandboxArgs) (any, error) { return h.Usage(a.SandboxID) }),
}

func decodeStrictly(raw []byte, into any) error {
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fail(codeInvalid, "arguments: %v", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fail(codeInvalid, "arguments: more than one value")
	}
	return nil
}

// Do carries out one verb.
func (h *Host) Do(ctx context.Context, name string, args json.RawMessage) (any, error) {
	do, ok := verbs[name]
	if !ok {
		return nil, fail(codeInvalid, "unknown verb %q", name)
	}
	return do(h, ctx, args)
}

// Serve reads requests, one JSON object a line, and answers each when it is done. At the end of the input spawns under
// way are undone and everything else is finished.
func (h *Host) Serve(ctx context.Context, input io.Reader, output io.Writer) error {
	ctx, cancelAll := context.WithCancel(ctx)
	var (
		underWay  sync.WaitGroup
		writing   sync.Mutex
		mutex     sync.Mutex
		cancels   = map[int64]context.CancelFunc{}
		slots     = make(chan struct{}, maxConcurrentVerbs)
		encoder   = json.NewEncoder(output)
		readError error
	)
	answer := func(line any) {
		writing.Lock()
		defer writing.Unlock()
		_ = encoder.Encode(line) // a reader that went away shows as the end of the input
	}
	h.endings.tell(func(id string) { answer(event{Event: "ended", SandboxID: id}) })
	defer h.endings.tell(nil)
	lines := bufio.NewScanner(input)
	lines.Buffer(make([]byte, 64<<10), maxRequestBytes+len("\n"))
	for lines.Scan() {
		var r request
		if err := decodeStrictly(lines.Bytes(), &r); err != nil {
			readError = err
			break
		}
		if r.Cancel {
			mutex.Lock()
			if cancel := cancels[r.ID]; cancel != nil {
				cancel()
			}
			mutex.Unlock()
			continue
		}
		requestCtx, cancel := context.WithCancel(ctx)
		mutex.Lock()
		cancels[r.ID] = cancel
		mutex.Unlock()
		underWay.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			result, err := h.Do(requestCtx, r.Verb, r.Args)
			mutex.Lock()
			delete(cancels, r.ID)
			mutex.Unlock()
			cancel()
			if err != nil {
				answer(response{ID: r.ID, Error: asFailure(err)})
				return
			}
			answer(response{ID: r.ID, OK: result})
		})
	}
	if readError == nil {
		readError = lines.Err()
	}
	if errors.Is(readError, bufio.ErrTooLong) {
		readError = fail(codeInvalid, "a request is longer than %d bytes", maxRequestBytes)
	}
	cancelAll()
	underWay.Wait()
	return errors.Join(readError, h.takeWallDown())
}
