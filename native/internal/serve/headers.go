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

// boundHeaders refuses a request whose line and headers together, written as HTTP/1.1 writes them, exceed the bound.
func boundHeaders(limit int, next *http.ServeMux) http.Handler {
	refusal := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if headerBytes(r) <= limit {
			next.ServeHTTP(w, r)
			return
		}
		err := fault.Exceeds("header-bytes", limit)
		// A service is a route for all that is below a slash; a single method of plain HTTP is not.
		if _, route := next.Handler(r); strings.HasSuffix(route, "/") {
			_ = refusal.Write(w, r, connectError(err))
			return
		}
		writeError(w, http.StatusRequestHeaderFieldsTooLarge, err.Error())
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
