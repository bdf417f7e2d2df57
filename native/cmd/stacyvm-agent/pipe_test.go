package main

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"connectrpc.com/connect"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

// stands waits until what a process has written no longer grows.
func (a *agent) stands(id string) uint64 {
	a.t.Helper()
	const looks = 25
	var last uint64
	same := 0
	eventually(a.t, "the output stands still", func() bool {
		now := a.find(id).NextOffset
		if same++; now != last || now == 0 {
			last, same = now, 0
		}
		return same == looks
	})
	return last
}

func TestASlowReaderSlowsTheProcessAndLosesNothing(t *testing.T) {
	a := start(t, "--max-ring-bytes", "131072")
	const size = 8_000_000
	stream, err := a.guest.Exec(context.Background(), connect.NewRequest(&guestv1.ExecRequest{
		Argv: []string{"head", "-c", strconv.Itoa(size), "/dev/zero"},
	}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	id := stream.Msg().GetStart().ProcessId
	if at := a.stands(id); at >= size || a.find(id).State != guestv1.ProcessState_PROCESS_STATE_RUNNING {
		t.Errorf("the process ran ahead of its reader, to %d", at)
	}
	if r := collect(stream); r.bytes != size || r.gaps != 0 || r.exit == nil {
		t.Errorf("got %d bytes, %d gaps, %v", r.bytes, r.gaps, r.err)
	}
}

func TestAPipeThatNobodyReadsHoldsNobodyUp(t *testing.T) {
	const queue = 200_000
	a, ctx := start(t, "--max-stdin-bytes", strconv.Itoa(queue)), context.Background()
	fifo := a.dir + "/work/go"
	if r := a.sh("mkfifo go"); r.exit.GetExitCode() != 0 {
		t.Fatal(string(r.stderr))
	}
	stream, err := a.guest.Exec(ctx, connect.NewRequest(&guestv1.ExecRequest{
		Argv: []string{"sh", "-c", "cat go; exec wc -c"}, StdinOpen: true,
	}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	id := stream.Msg().GetStart().ProcessId
	write := func(ctx context.Context, n int) error {
		_, err := a.guest.WriteStdin(ctx, connect.NewRequest(&guestv1.WriteStdinRequest{ProcessId: id, Data: make([]byte, n)}))
		return err
	}
	if err := write(ctx, queue); err != nil {
		t.Fatal(err)
	}
	// One byte more waits for its caller only, and is not written once that one has left.
	brief, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := write(brief, 1); connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("beyond the queue: %v", err)
	}
	a.mustLive(t)
	waiting := make(chan error, 1)
	go func() { waiting <- write(ctx, 10) }()
	if err := os.WriteFile(fifo, nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Errorf("once there is room: %v", err)
	}
	if _, err := a.guest.CloseStdin(ctx, connect.NewRequest(&guestv1.CloseStdinRequest{ProcessId: id})); err != nil {
		t.Error(err)
	}
	if r := collect(stream); string(r.stdout) != strconv.Itoa(queue+10)+"\n" {
		t.Errorf("%q arrived, %v", r.stdout, r.err)
	}
}
