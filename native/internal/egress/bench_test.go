package egress

import (
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"stacyvm/native/internal/egresswire"
)

// BenchmarkDownload is one connection's throughput from its far end to the sandbox's side of the slot.
func BenchmarkDownload(b *testing.B) {
	benchBulk(b, func(conn *net.TCPConn) {
		chunk := make([]byte, 256<<10)
		for {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	}, func(slot *net.UnixConn, bytes int64) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.LimitReader(slot, bytes), make([]byte, 256<<10))
		return err
	})
}

// BenchmarkUpload is the same the other way.
func BenchmarkUpload(b *testing.B) {
	benchBulk(b, func(conn *net.TCPConn) {
		buffer := make([]byte, 256<<10)
		for {
			if _, err := conn.Read(buffer); err != nil {
				return
			}
		}
	}, func(slot *net.UnixConn, bytes int64) error {
		chunk := make([]byte, 256<<10)
		for ; bytes > 0; bytes -= int64(len(chunk)) {
			if _, err := slot.Write(chunk); err != nil {
				return err
			}
		}
		return nil
	})
}

func benchBulk(b *testing.B, far func(*net.TCPConn), near func(*net.UnixConn, int64) error) {
	const bytes = 64 << 20
	s := startGateway(b)
	serveOutside(b, "203.0.113.7:443", far)
	slot := s.sandboxOf("sb-1", publicPolicy).must("203.0.113.7", 443)
	b.SetBytes(bytes)
	for b.Loop() {
		if err := near(slot, bytes); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConnect is a connection's making: a waiting slot's request until its answer, by a name that is remembered.
func BenchmarkConnect(b *testing.B) {
	s := startGateway(b)
	serveNames(b, zone{"api.example.com": addressesOf(3600, "203.0.113.7")})
	serveOutside(b, "203.0.113.7:443", func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) })
	a := s.sandboxOf("sb-1", allowAPI)
	times := make([]time.Duration, 0, 100_000)
	for b.Loop() {
		// The slot waits already, as it does where less than eight are asked for at once.
		slot := <-a.slots
		begun := time.Now()
		if err := egresswire.Write(slot, egresswire.Request{Open: egresswire.OpenTCP, Host: "api.example.com", Port: 443}); err != nil {
			b.Fatal(err)
		}
		if answer, err := egresswire.ReadAnswer(slot); err != nil || !answer.OK {
			b.Fatal(answer, err)
		}
		times = append(times, time.Since(begun))
		_ = slot.Close()
		// Beyond this a sandbox's door isn't knocked at.
		time.Sleep(time.Second / maxDoorings)
	}
	b.ReportMetric(float64(median(times).Microseconds()), "µs-p50")
}

// BenchmarkParallel is the time that 200 connections at once take until each has had an answer from its far end.
func BenchmarkParallel(b *testing.B) {
	s := startGateway(b)
	echo(b, "203.0.113.7:443")
	for b.Loop() {
		a := s.sandboxOf("sb-1", publicPolicy)
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				slot, answer := a.connect("203.0.113.7", 443)
				if !answer.OK {
					b.Error(answer)
					return
				}
				if _, err := slot.Write([]byte("x")); err != nil {
					b.Error(err)
				}
				if _, err := io.ReadFull(slot, make([]byte, 1)); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		s.must(`"op":"drop","sandbox":"sb-1"`)
	}
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// BenchmarkInspected is the download of 1 GiB through an inspected flow, in whose answers secrets are looked for: TLS four
// times in one process, as the far end and the sandbox's program are here too.
func BenchmarkInspected(b *testing.B) {
	const bytes = 1 << 30
	chunk := make([]byte, 256<<10)
	random := rand.New(rand.NewPCG(1, 2))
	for at := range chunk {
		chunk[at] = byte(random.Uint32())
	}
	for name, protocols := range bothProtocols {
		b.Run(name, func(b *testing.B) {
			i := startInternet(b, func(*farEnd) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					for range bytes / len(chunk) {
						if _, err := w.Write(chunk); err != nil {
							return
						}
					}
				}
			})
			client := i.inside("sb-1", publicPolicy, withHeader("sk-proj-abcdefghijklmnopqrstuvwxyz0123456789")).client(protocols...)
			client.Timeout = 0
			b.SetBytes(bytes)
			for b.Loop() {
				response, err := client.Get("https://" + apiHost + "/")
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, response.Body); n != bytes || err != nil {
					b.Fatal(n, err)
				}
				_ = response.Body.Close()
			}
		})
	}
}
