// Package fault names why an operation failed, without knowing which wire will say so.
package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Kind is the closed set of reasons.
type Kind int

const (
	// None is the kind of no error.
	None Kind = iota
	Internal
	Invalid
	NotFound
	Exists
	Denied
	Exhausted
	Precondition
	NoSpace
	Unavailable
)

// Error carries a reason and a sentence that may be shown to the caller.
type Error struct {
	Kind    Kind
	Message string
	Cause   error
}

func (e *Error) Error() string { return e.Message }
func (e *Error) Unwrap() error { return e.Cause }

// New makes an error of a kind; the message must be fit for the caller's eyes.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Exceeds says that a named bound was passed.
func Exceeds(name string, limit int) *Error {
	return New(Exhausted, "more than %s allows (%d)", name, limit)
}

// At explains a system error met on a path. The path is part of the message.
func At(path string, err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	kind, why := classify(err)
	return &Error{Kind: kind, Message: fmt.Sprintf("%s: %s", path, why), Cause: err}
}

// KindOf finds the reason of any error, system errors included.
func KindOf(err error) Kind {
	if err == nil {
		return None
	}
	var known *Error
	if errors.As(err, &known) {
		return known.Kind
	}
	kind, _ := classify(err)
	return kind
}

func classify(err error) (Kind, string) {
	var no syscall.Errno
	if !errors.As(err, &no) {
		if errors.Is(err, fs.ErrNotExist) {
			return NotFound, "does not exist"
		}
		return Internal, err.Error()
	}
	switch no {
	case syscall.ENOENT:
		return NotFound, "does not exist"
	case syscall.ENOTDIR:
		return Invalid, "a component is not a directory"
	case syscall.EISDIR:
		return Invalid, "is a directory"
	case syscall.EEXIST:
		return Exists, "already exists"
	case syscall.ENOTEMPTY:
		return Precondition, "directory is not empty"
	case syscall.EBUSY:
		return Precondition, "is in use or a mount point"
	case syscall.EACCES, syscall.EPERM, syscall.EROFS:
		return Denied, no.Error()
	case syscall.ENOSPC, syscall.EDQUOT:
		return NoSpace, "no space left"
	case syscall.ENAMETOOLONG, syscall.EINVAL, syscall.ELOOP, syscall.ENXIO:
		return Invalid, no.Error()
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN:
		return Exhausted, no.Error()
	}
	return Internal, no.Error()
}
