package host

import (
	"io"
	"os"
	"os/exec"
)

// firstProcess is this program started again as what becomes a sandbox's first process.
type firstProcess struct {
	id      string
	command *exec.Cmd
	console *os.File
	// files are its descriptors from 3 on: it goes on at a byte from proceed, and complains into status.
	files func(proceed, status *os.File) []*os.File
	// what it is, in a complaint; hint ends the sentence that says why it didn't start.
	what, hint string
}

// begin starts the process, records it and only then lets it go on: were this program to end before, so would the process.
func (h *Host) begin(first firstProcess) (*runtimeRecord, error) {
	proceed, proceedWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer proceedWrite.Close()
	statusRead, status, err := os.Pipe()
	if err != nil {
		proceed.Close()
		return nil, err
	}
	defer statusRead.Close()

	command := first.command
	command.Env = []string{}
	command.Stdout, command.Stderr = first.console, first.console
	command.ExtraFiles = first.files(proceed, status)
	err = command.Start()
	proceed.Close()
	status.Close()
	if err != nil {
		return nil, fail(codeUnavailable, "start %s: %v%s", first.what, err, first.hint)
	}
	go func() { _ = command.Wait() }() // reaps it, whenever it ends
	h.failpoint.reached(stepSpawnRuntime)
	record, err := recordProcess(h.root.in(first.id, "runtime.json"), command.Process.Pid, nil, first.console)
	if err != nil {
		return nil, err
	}
	h.failpoint.reached(stepSpawnRecord)
	if _, err := proceedWrite.Write([]byte{1}); err != nil {
		return nil, withConsole(err, first.console)
	}
	if complaint, err := io.ReadAll(io.LimitReader(statusRead, 4096)); err != nil || len(complaint) > 0 {
		return nil, fail(codeUnavailable, "%s: %s", first.what, complaint)
	}
	h.endings.watch(first.id, *record)
	return record, nil
}
