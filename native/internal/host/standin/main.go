// Command standin takes the agent's place in tests of the host: for each connection it reads one JSON array, runs it
// as a command and answers with the output.
package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
)

func main() {
	if err := os.MkdirAll("/workspace", 0o755); err != nil {
		println(err.Error())
	}
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		println(err.Error())
		os.Exit(1)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			os.Exit(1)
		}
		go answer(connection)
	}
}

func answer(connection net.Conn) {
	defer connection.Close()
	var argv []string
	if json.NewDecoder(connection).Decode(&argv) != nil || len(argv) == 0 {
		return
	}
	command := exec.Command(argv[0], argv[1:]...)
	command.Stdout, command.Stderr = connection, connection
	if err := command.Run(); err != nil {
		_, _ = io.WriteString(connection, err.Error())
	}
}
