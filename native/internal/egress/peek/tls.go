package peek

const (
	recordHandshake = 22
	recordHeader    = 5
	maxRecordBytes  = 1 << 14
	// maxPieces bounds the records that a ClientHello is spread over.
	maxPieces = 2048

	helloType   = 1
	helloHeader = 4
)

// IsRecord tells whether a byte is the type of a TLS record.
func IsRecord(b byte) bool { return b >= 20 && b <= 24 }

// lookTLS puts a ClientHello together, over as many records as it takes (RFC 8446, 5.1).
func lookTLS(first []byte) Sight {
	malformed := Sight{Kind: TLS, Malformed: true}
	if len(first) < 2 {
		return Sight{Need: 2}
	}
	if first[1] != 3 {
		return Sight{Kind: Other}
	}
	var hello []byte
	rest := first
	for range maxPieces {
		// A client's first message is its hello: nothing comes before it or between its pieces.
		if len(rest) > 0 && rest[0] != recordHandshake || len(rest) > 1 && rest[1] != 3 {
			return malformed
		}
		at := len(first) - len(rest)
		if len(rest) < recordHeader {
			return Sight{Need: at + recordHeader}
		}
		size := int(rest[3])<<8 | int(rest[4])
		if size == 0 || size > maxRecordBytes {
			return malformed
		}
		rest = rest[recordHeader:]
		if len(rest) < size {
			return Sight{Need: at + recordHeader + size}
		}
		hello, rest = append(hello, rest[:size]...), rest[size:]
		if hello[0] != helloType {
			return malformed
		}
		if len(hello) < helloHeader {
			continue
		}
		body := int(hello[1])<<16 | int(hello[2])<<8 | int(hello[3])
		if body > HoldBytes {
			return malformed
		}
		if hello := hello[helloHeader:]; len(hello) >= body {
			return readHello(hello[:body])
		}
	}
	return malformed
}

// fields reads a message's fields; once one is missing, all are empty.
type fields struct {
	rest   []byte
	failed bool
}

func (f *fields) take(n int) []byte {
	if n > len(f.rest) {
		f.rest, f.failed = nil, true
		return make([]byte, n)
	}
	taken := f.rest[:n]
	f.rest = f.rest[n:]
	return taken
}

func (f *fields) number(bytes int) int {
	number := 0
	for _, b := range f.take(bytes) {
		number = number<<8 | int(b)
	}
	return number
}

// vector is bytes behind a length of so many bytes.
func (f *fields) vector(lengthBytes int) *fields {
	n := f.number(lengthBytes)
	if n > len(f.rest) {
		f.rest, f.failed = nil, true
		return &fields{failed: true}
	}
	return &fields{rest: f.take(n)}
}

// readHello reads the names of a ClientHello's server_name (RFC 6066, 3).
func readHello(body []byte) Sight {
	sight := Sight{Kind: TLS}
	hello := &fields{rest: body}
	hello.take(2 + 32)
	hello.vector(1)
	hello.vector(2)
	hello.vector(1)
	if hello.failed || len(hello.rest) == 0 {
		sight.Malformed = hello.failed
		return sight
	}
	extensions := hello.vector(2)
	seen := false
	for len(extensions.rest) > 0 {
		kind, extension := extensions.number(2), extensions.vector(2)
		if kind != 0 {
			continue
		}
		names := extension.vector(2)
		nameType, name := names.number(1), names.vector(2)
		if seen || names.failed || nameType != 0 || len(names.rest) > 0 || len(extension.rest) > 0 {
			sight.Malformed = true
		}
		seen = true
		sight.say(string(name.rest))
	}
	if extensions.failed || hello.failed || len(hello.rest) > 0 {
		sight.Malformed = true
	}
	return sight
}
