package main

import (
	"context"
	"strconv"
	"testing"

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
