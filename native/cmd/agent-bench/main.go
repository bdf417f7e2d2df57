// Command agent-bench measures a running agent through its unix socket: exec latency, parallel execs, bulk bytes.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"connectrpc.com/connect"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
	"stacyvm/native/gen/stacyvm/guest/v1/guestv1connect"
)

func main() {
	socket := flag.String("socket", "", "the agent's unix socket")
	n := flag.Int("n", 1000, "sequential execs")
	pause := flag.Duration("pause", 0, "rest before each sequential exec; beyond half a second the agent has given its memory back")
	burst := flag.Int("burst", 200, "parallel execs")
	megabytes := flag.Int64("mb", 512, "size of the bulk transfers")
	port := flag.Int("port", 0, "with it only requests to the app on this port are measured: n, one by one and burst at once")
	dir := flag.String("dir", "/tmp", "directory inside for the bulk file")
	flag.Parse()
	if *port != 0 {
		fail(requests(*socket, *port, *n, 1))
		fail(requests(*socket, *port, *n, *burst))
		return
	}
	fail(run(*socket, *n, *pause, *burst, *megabytes<<20, *dir))
}

func fail(err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func run(socket string, n int, pause time.Duration, burst int, size int64, dir string) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	multiplexed := &http.Client{Transport: &http.Transport{Protocols: protocols, DialContext: dial}}
	plain := &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true, MaxIdleConnsPerHost: burst, WriteBufferSize: 256 << 10, ReadBufferSize: 256 << 10}}
	guest := guestv1connect.NewGuestClient(plain, "http://agent")
	if err := oneByOne(guest, "exec true", n, pause); err != nil {
		return err
	}
	overHTTP2 := guestv1connect.NewGuestClient(multiplexed, "http://agent")
	if err := oneByOne(overHTTP2, "exec true over HTTP/2", n, pause); err != nil {
		return err
	}
	begun := time.Now()
	var all sync.WaitGroup
	errors := make(chan error, burst)
	for range burst {
		all.Go(func() {
			if _, err := exec(guest, "true"); err != nil {
				errors <- err
			}
		})
	}
	all.Wait()
	fmt.Printf("%d at once: %v, %d failed\n", burst, time.Since(begun), len(errors))
	return bulk(guest, plain, size, dir)
}

func oneByOne(guest guestv1connect.GuestClient, what string, n int, pause time.Duration) error {
	if _, err := exec(guest, "true"); err != nil {
		return err
	}
	times := make([]time.Duration, n)
	for i := range times {
		time.Sleep(pause)
		begun := time.Now()
		if _, err := exec(guest, "true"); err != nil {
			return err
		}
		times[i] = time.Since(begun)
	}
	slices.Sort(times)
	if n > 0 {
		fmt.Printf("%s, n=%d: p50 %v p99 %v\n", what, n, times[n/2], times[n*99/100])
	}
	return nil
}

func bulk(guest guestv1connect.GuestClient, plain *http.Client, size int64, dir string) error {
	if size == 0 {
		return nil
	}
	name := dir + "/agent-bench.bin"
	begun := time.Now()
	response, err := plain.Post("http://agent/files?path="+name, "application/octet-stream", io.LimitReader(zeros{}, size))
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	report("upload", size, begun)
	begun = time.Now()
	if response, err = plain.Get("http://agent/files?path=" + name); err != nil {
		return err
	}
	got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, response.Body, make([]byte, 256<<10))
	_ = response.Body.Close()
	report("download", got, begun)
	if err != nil {
		return err
	}
	begun = time.Now()
	sent, err := exec(guest, "cat", name)
	report("exec output", sent, begun)
	if err == nil {
		_, err = exec(guest, "rm", name)
	}
	return err
}

func report(what string, size int64, begun time.Time) {
	fmt.Printf("%s: %.0f MB/s\n", what, float64(size)/1e6/time.Since(begun).Seconds())
}

func exec(guest guestv1connect.GuestClient, argv ...string) (int64, error) {
	stream, err := guest.Exec(context.Background(), connect.NewRequest(&guestv1.ExecRequest{Argv: argv}))
	if err != nil {
		return 0, err
	}
	defer func() { _ = stream.Close() }()
	var size int64
	for stream.Receive() {
		if exit := stream.Msg().GetExit(); exit != nil && exit.ExitCode != 0 {
			return size, fmt.Errorf("%v: exit %d", argv, exit.ExitCode)
		}
		size += int64(len(stream.Msg().GetData().GetData()))
	}
	return size, stream.Err()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
