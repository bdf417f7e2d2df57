package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"

	"stacyvm/native/internal/egress/forward"
)

func runForward(args []string, input io.Reader, output io.Writer) error {
	var config forward.Config
	if err := json.Unmarshal([]byte(os.Getenv(forward.Variable)), &config); err != nil {
		return fmt.Errorf("%s: %w", forward.Variable, err)
	}
	if len(args) > 0 {
		return forward.Run(config, args[0], args[1:])
	}
	proxy, err := forward.New(config, io.Discard)
	if err != nil {
		return err
	}
	if err := settle(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(output, proxy.Address(listener.Addr())); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, input)
		_ = listener.Close()
	}()
	_ = proxy.Serve(listener)
	return nil
}
