package main

import (
	"io"
	"net"
	"os/exec"
)

// listen runs the program for every connection, with what comes as its input and its output as what goes. Each end of
// one direction is passed on alone.
func listen(address string, argv []string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go attend(conn.(*net.TCPConn), exec.Command(argv[0], argv[1:]...))
	}
}

func attend(conn *net.TCPConn, program *exec.Cmd) {
	defer func() { _ = conn.Close() }()
	input, inErr := program.StdinPipe()
	output, outErr := program.StdoutPipe()
	if inErr != nil || outErr != nil || program.Start() != nil {
		return
	}
	go func() {
		_, _ = io.Copy(input, conn)
		_ = input.Close()
	}()
	_, _ = io.Copy(conn, output)
	_ = conn.CloseWrite()
	_ = program.Wait()
}
