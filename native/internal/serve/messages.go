package serve

import (
	"context"
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"stacyvm/native/internal/fault"
)

// isOneMessage says whether the body is a message and nothing else, uncompressed: its length is then the body's.
func isOneMessage(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return (kind == "application/json" || kind == "application/proto") && r.Header.Get("Content-Encoding") == ""
}

// messageBound gives the bound of a stream's messages its name. The library holds it, and says something else.
type messageBound struct{ limit int }

func (messageBound) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc { return next }

func (messageBound) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (b messageBound) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return next(ctx, &boundConn{conn, b.limit})
	}
}

type boundConn struct {
	connect.StreamingHandlerConn
	limit int
}

func (c *boundConn) Receive(message any) error {
	err := c.StreamingHandlerConn.Receive(message)
	if err != nil && connect.CodeOf(err) == connect.CodeResourceExhausted {
		return connectError(fault.Exceeds("message-bytes", c.limit))
	}
	return err
}
