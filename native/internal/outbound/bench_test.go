package outbound

import (
	"io"
	"net"
	"testing"
	"time"

	"stacyvm/native/internal/egresswire"
)

// benchBytes is what one transfer carries.
const benchBytes = 1 << 30

func BenchmarkDownload(b *testing.B) {
	s, _, path := newSandbox(b)
	newGateway(b, path, 4, func(_ egresswire.Request, slot *net.UnixConn) {
		say(slot, egresswire.Answer{OK: true})
		piece := make([]byte, 256<<10)
		for left := benchBytes; left > 0; left -= len(piece) {
			if _, err := slot.Write(piece); err != nil {
				return
			}
		}
		_ = slot.CloseWrite()
		_, _ = io.Copy(io.Discard, slot)
	})
	b.SetBytes(benchBytes)
	into := make([]byte, 256<<10)
	for b.Loop() {
		conn := s.mustDial("203.0.113.7:80")
		_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
		n, err := int64(0), error(nil)
		for err == nil {
			var got int
			got, err = conn.Read(into)
			n += int64(got)
		}
		if n != benchBytes || err != io.EOF {
			b.Fatal(n, err)
		}
		conn.Close()
	}
}

func BenchmarkUpload(b *testing.B) {
	s, _, path := newSandbox(b)
	newGateway(b, path, 4, func(_ egresswire.Request, slot *net.UnixConn) {
		say(slot, egresswire.Answer{OK: true})
		into := make([]byte, 256<<10)
		for {
			if _, err := slot.Read(into); err != nil {
				break
			}
		}
		_, _ = slot.Write([]byte("done"))
	})
	b.SetBytes(benchBytes)
	piece := make([]byte, 256<<10)
	for b.Loop() {
		conn := s.mustDial("203.0.113.7:80")
		_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
		for left := benchBytes; left > 0; left -= len(piece) {
			if _, err := conn.Write(piece); err != nil {
				b.Fatal(err)
			}
		}
		_ = conn.CloseWrite()
		if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
			b.Fatal(err)
		}
		conn.Close()
	}
}

func BenchmarkConnect(b *testing.B) {
	s, _, path := newSandbox(b)
	newGateway(b, path, 8, echo)
	for b.Loop() {
		s.mustDial("203.0.113.7:80").Close()
	}
}
