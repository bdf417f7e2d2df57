package serve

import (
	"net/http"
	"strings"

	"connectrpc.com/connect"

	"stacyvm/native/internal/fault"
)

// transportSlackBytes is how far above the bound the transport itself cuts a request off: that keeps memory, and counts
// otherwise on each protocol. The bound proper is exact and says its name.
const transportSlackBytes = 4 << 10

// boundHeaders refuses a request whose line and headers together, written as HTTP/1.1 writes them, exceed the bound, and
// a single message that says it is longer than its own.
func boundHeaders(limit, messageLimit int, next *http.ServeMux) http.Handler {
	refusal := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A service is a route for all that is below a slash; a single method of plain HTTP is not.
		isService := func() bool {
			_, route := next.Handler(r)
			return strings.HasSuffix(route, "/")
		}
		switch {
		case headerBytes(r) > limit:
			err := fault.Exceeds("header-bytes", limit)
			if isService() {
				_ = refusal.Write(w, r, connectError(err))
				return
			}
			writeError(w, http.StatusRequestHeaderFieldsTooLarge, err.Error())
		case r.ContentLength > int64(messageLimit) && isOneMessage(r) && isService():
			_ = refusal.Write(w, r, connectError(fault.Exceeds("message-bytes", messageLimit)))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func headerBytes(r *http.Request) int {
	total := len(r.Method) + len(r.RequestURI) + len("  HTTP/1.1\r\n") + len("Host: \r\n") + len(r.Host) + len("\r\n")
	for name, values := range r.Header {
		for _, value := range values {
			total += len(name) + len(value) + len(": \r\n")
		}
	}
	return total
}
