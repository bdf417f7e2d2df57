// Package process starts programs, keeps their output, and tells the true end of each.
package process

import (
	"strings"
	"time"

	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/fault"
)

// Size is a terminal's.
type Size struct{ Cols, Rows uint16 }

// Spec is what to start.
type Spec struct {
	// ID is the caller's own name for the process; empty means a random one. Processes with a name are remembered
	// apart from the others.
	ID string
	// Argv[0] is looked up in the process's PATH.
	Argv []string
	Env  map[string]string
	// Cwd is absolute; empty means the default.
	Cwd string
	// User is a name, uid or uid:gid; empty means the default.
	User      string
	Stdin     []byte
	StdinOpen bool
	// Timeout of 0 means none.
	Timeout time.Duration
	// MaxOutputBytes of 0 means unlimited; the head is kept.
	MaxOutputBytes uint64
	Pty            *Size
	Tag            string
	// Primary attaches a reader for which nothing is lost and which slows the process when it is slow itself.
	Primary bool
}

// Exit is how a process ended.
type Exit struct {
	// Code is 128+n after death by signal n.
	Code        int
	Signal      int
	TimedOut    bool
	Truncated   bool
	Background  bool
	Duration    time.Duration
	OutputBytes uint64
}

// maxArgBytes is the kernel's own bound for one argument or variable, the closing NUL included.
const maxArgBytes = 128 << 10

func (s *Spec) check(l *bound.Limits) error {
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return fault.New(fault.Invalid, "argv must name a program")
	}
	if len(s.Argv) > l.ArgvCount {
		return fault.Exceeds("argv-count", l.ArgvCount)
	}
	total := 0
	for _, arg := range s.Argv {
		if strings.IndexByte(arg, 0) >= 0 {
			return fault.New(fault.Invalid, "argv must not contain NUL")
		}
		if len(arg) >= maxArgBytes {
			return fault.New(fault.Invalid, "one argument exceeds %d bytes", maxArgBytes-1)
		}
		total += len(arg) + 1
	}
	if total > l.ArgvBytes {
		return fault.Exceeds("argv-bytes", l.ArgvBytes)
	}
	if !bound.IsID(s.ID) {
		return fault.New(fault.Invalid, "process_id must be at most %d letters, digits and dashes", bound.IDBytes)
	}
	if len(s.Tag) > l.TagBytes {
		return fault.Exceeds("tag-bytes", l.TagBytes)
	}
	if s.Pty != nil && (s.Pty.Cols == 0 || s.Pty.Rows == 0) {
		return fault.New(fault.Invalid, "pty needs cols and rows from 1 to 65535")
	}
	return CheckEnv(s.Env, l)
}

// CheckEnv refuses variables that a process can't have.
func CheckEnv(env map[string]string, l *bound.Limits) error {
	if len(env) > l.EnvCount {
		return fault.Exceeds("env-count", l.EnvCount)
	}
	total := 0
	for name, value := range env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fault.New(fault.Invalid, "env name %q must not be empty or contain = or NUL", name)
		}
		if strings.IndexByte(value, 0) >= 0 {
			return fault.New(fault.Invalid, "env %s must not contain NUL", name)
		}
		if len(name)+len(value)+2 > maxArgBytes {
			return fault.New(fault.Invalid, "env %s exceeds %d bytes", name, maxArgBytes)
		}
		total += len(name) + len(value) + 2
	}
	if total > l.EnvBytes {
		return fault.Exceeds("env-bytes", l.EnvBytes)
	}
	return nil
}
