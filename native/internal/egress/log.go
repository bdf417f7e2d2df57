package egress

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// maxTold bounds the decisions of one sandbox that are told one by one in a second.
const maxTold = 100

// maxQueued bounds the events of all sandboxes that wait for the server to read.
const maxQueued = 4096

// Decision is the event that tells what was decided on a request of a sandbox.
type Decision struct {
	Event   string `json:"event"`
	Sandbox string `json:"sandbox"`
	AtMs    int64  `json:"at_ms"`
	// Flow joins a connection's decision and its end.
	Flow     uint64 `json:"flow,omitempty"`
	Kind     string `json:"kind"`
	Host     string `json:"host,omitempty"`
	Address  string `json:"address,omitempty"`
	Port     uint16 `json:"port,omitempty"`
	Decision string `json:"decision"`
	Reason   string `json:"reason"`
	Rule     string `json:"rule,omitempty"`
	Policy   string `json:"policy,omitempty"`
	// Method, Path (without the query) and the names of Secrets are of requests and responses.
	Method  string   `json:"method,omitempty"`
	Path    string   `json:"path,omitempty"`
	Secrets []string `json:"secrets,omitempty"`
}

// Closed is the event that tells how a connection ended whose decision was told.
type Closed struct {
	Event    string `json:"event"`
	Sandbox  string `json:"sandbox"`
	AtMs     int64  `json:"at_ms"`
	Flow     uint64 `json:"flow"`
	Sent     int64  `json:"sent"`
	Received int64  `json:"received"`
	Reason   string `json:"reason"`
}

// missed is the event that tells how many others weren't.
type missed struct {
	Event   string `json:"event"`
	Sandbox string `json:"sandbox"`
	Count   int    `json:"count"`
}

// output writes lines, answers and events, one after the other. Events wait in a bounded queue, and nobody for them.
type output struct {
	answers chan any
	events  chan any
	failed  chan struct{}
}

func newOutput(to io.Writer) *output {
	o := &output{answers: make(chan any), events: make(chan any, maxQueued), failed: make(chan struct{})}
	go o.write(json.NewEncoder(to))
	return o
}

func (o *output) write(to *json.Encoder) {
	defer close(o.failed)
	for {
		var line any
		select {
		case line = <-o.answers:
		case line = <-o.events:
		}
		if line == nil || to.Encode(line) != nil {
			return
		}
	}
}

// answer waits until the line is taken; it tells whether lines still are.
func (o *output) answer(line any) bool {
	select {
	case o.answers <- line:
		return true
	case <-o.failed:
		return false
	}
}

// end stops the writing once what was answered is written.
func (o *output) end() {
	if o.answer(nil) {
		<-o.failed
	}
}

func (o *output) event(line any) bool {
	select {
	case o.events <- line:
		return true
	default:
		return false
	}
}

// journal is one sandbox's share of the events.
type journal struct {
	sandbox string
	output  *output

	mu     sync.Mutex
	second time.Time
	told   int
	missed int
	timer  *time.Timer
}

// decision tells whether it was told.
func (j *journal) decision(event Decision) bool {
	event.Event, event.Sandbox, event.AtMs = "decision", j.sandbox, time.Now().UnixMilli()
	j.mu.Lock()
	defer j.mu.Unlock()
	if now := time.Now(); now.Sub(j.second) >= time.Second {
		j.second, j.told = now, 0
	}
	if j.told < maxTold && j.output.event(event) {
		j.told++
		return true
	}
	j.miss()
	return false
}

func (j *journal) closed(event Closed) {
	event.Event, event.Sandbox, event.AtMs = "closed", j.sandbox, time.Now().UnixMilli()
	if !j.output.event(event) {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.miss()
	}
}

// miss counts under the lock.
func (j *journal) miss() {
	if j.missed++; j.timer == nil {
		j.timer = time.AfterFunc(time.Second, j.tellMissed)
	}
}

func (j *journal) tellMissed() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.timer = nil
	if j.output.event(missed{"missed", j.sandbox, j.missed}) {
		j.missed = 0
		return
	}
	j.timer = time.AfterFunc(time.Second, j.tellMissed)
}
