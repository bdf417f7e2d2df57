package intercept

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
)

// errFault is a mistake of the gateway's own.
var errFault = errors.New("the gateway made a mistake")

// survive lets a mistake end one request, and not the gateway of all. Nothing of the request is written down.
func survive() {
	fault := recover()
	if fault == nil {
		return
	}
	if fault != http.ErrAbortHandler {
		report(fault)
	}
	panic(http.ErrAbortHandler)
}

// guard is survive for what net/http calls in goroutines of its own, where nothing else would.
func guard(err *error) {
	if fault := recover(); fault != nil {
		report(fault)
		*err = errFault
	}
}

func report(fault any) {
	fmt.Fprintf(os.Stderr, "a request: %T\n%s", fault, debug.Stack())
}
