// Command bench-guest is what benchmarks run inside a sandbox: an app behind a port, a program started over and over without
// an agent, and connections to an app outside.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "app" {
		return http.ListenAndServe(args[1], app())
	}
	if len(args) == 4 && args[0] == "tls-app" {
		return http.ListenAndServeTLS(args[1], args[2], args[3], app())
	}
	counted := map[string]func(int, string) error{"start": start, "connect": connect, "download": download, "fetch": fetch, "parallel": parallel}
	if len(args) == 3 && counted[args[0]] != nil {
		n, err := strconv.Atoi(args[1])
		if err == nil && n > 0 {
			return counted[args[0]](n, args[2])
		}
	}
	return fmt.Errorf("usage: bench-guest app ADDRESS | tls-app ADDRESS CERT KEY | start N PROGRAM | connect N ADDRESS | download BYTES ADDRESS | fetch BYTES HOST:PORT | parallel N ADDRESS")
}

// app answers GET / with a greeting, GET /bytes?n=N with so many bytes, and POST /bytes with how many came.
func app() http.Handler {
	block := make([]byte, 256<<10)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") })
	mux.HandleFunc("GET /bytes", func(w http.ResponseWriter, r *http.Request) {
		left, err := strconv.Atoi(r.URL.Query().Get("n"))
		if err != nil || left < 0 {
			http.Error(w, "n must be a number of bytes", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(left))
		for left > 0 {
			n, err := w.Write(block[:min(left, len(block))])
			if err != nil {
				return
			}
			left -= n
		}
	})
	mux.HandleFunc("POST /bytes", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, r.Body, make([]byte, len(block)))
		if err != nil {
			return
		}
		_, _ = fmt.Fprintln(w, n)
	})
	return mux
}

// start prints how long it takes to start a program without streams and to wait for its end.
func start(n int, program string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	times := make([]time.Duration, n)
	for i := range times {
		begun := time.Now()
		pid, err := syscall.ForkExec(path, []string{program}, &syscall.ProcAttr{})
		if err != nil {
			return err
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil {
			return err
		}
		if status.ExitStatus() != 0 {
			return fmt.Errorf("%s: exit %d", program, status.ExitStatus())
		}
		times[i] = time.Since(begun)
	}
	slices.Sort(times)
	fmt.Printf("start and wait, n=%d: p50 %v p99 %v\n", n, times[n/2], times[n*99/100])
	return nil
}
