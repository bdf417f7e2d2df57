package serve

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"connectrpc.com/connect"

	"stacyvm/native/internal/fault"
)

// onWire says for each reason what Connect and HTTP call it.
var onWire = map[fault.Kind]struct {
	code   connect.Code
	status int
}{
	fault.Internal:     {connect.CodeInternal, http.StatusInternalServerError},
	fault.Invalid:      {connect.CodeInvalidArgument, http.StatusBadRequest},
	fault.NotFound:     {connect.CodeNotFound, http.StatusNotFound},
	fault.Exists:       {connect.CodeAlreadyExists, http.StatusConflict},
	fault.Denied:       {connect.CodePermissionDenied, http.StatusForbidden},
	fault.Exhausted:    {connect.CodeResourceExhausted, http.StatusTooManyRequests},
	fault.Precondition: {connect.CodeFailedPrecondition, http.StatusConflict},
	fault.NoSpace:      {connect.CodeResourceExhausted, http.StatusInsufficientStorage},
	fault.Unavailable:  {connect.CodeUnavailable, http.StatusServiceUnavailable},
}

func connectError(err error) error {
	var known *connect.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, err)
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, err)
	}
	return connect.NewError(onWire[fault.KindOf(err)].code, err)
}

func httpError(w http.ResponseWriter, err error) {
	writeError(w, onWire[fault.KindOf(err)].status, err.Error())
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{"code": status, "message": message})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

// one wraps a unary answer.
func one[T any](message *T, err error) (*connect.Response[T], error) {
	if err != nil {
		return nil, connectError(err)
	}
	return connect.NewResponse(message), nil
}
