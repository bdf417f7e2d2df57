package host

import (
	"errors"
	"fmt"
)

// Failure is an error with a code that the caller can branch on.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

const (
	codeInvalid     = "invalid"     // the request is not what the verb takes
	codeConflict    = "conflict"    // the sandbox exists already
	codeMissing     = "missing"     // no such sandbox
	codeExhausted   = "exhausted"   // no slot or loop device is left
	codeUnavailable = "unavailable" // the machine lacks something
	codeFailed      = "failed"      // a step failed; everything was undone
	codeCancelled   = "cancelled"   // the caller withdrew; everything was undone
)

func (f *Failure) Error() string { return f.Message }

func fail(code, format string, args ...any) *Failure {
	return &Failure{Code: code, Message: fmt.Sprintf(format, args...)}
}

func asFailure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return fail(codeFailed, "%v", err)
}
