package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	processv1 "stacyvm/native/gen/process"
	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

func TestAResizedPtyTellsItsProgram(t *testing.T) {
	a, tag := start(t), "resized"
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stream, err := a.guest.Exec(ctx, connect.NewRequest(&guestv1.ExecRequest{
		Argv: []string{"sh", "-c", "trap 'stty size' WINCH; stty -echo; stty size; while ! read line; do :; done"},
		Pty:  &guestv1.PtySize{Cols: 91, Rows: 17}, StdinOpen: true, Tag: tag,
	}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	id := stream.Msg().GetStart().ProcessId
	var seen strings.Builder
	awaitText := func(want string) {
		t.Helper()
		for !strings.HasSuffix(seen.String(), want) {
			if !stream.Receive() {
				t.Fatalf("%q never came: %q %v", want, seen.String(), stream.Err())
			}
			seen.Write(stream.Msg().GetData().GetData())
		}
	}
	awaitText("17 91\r\n")
	resize := func(cols, rows uint32) error {
		_, err := a.guest.ResizePty(ctx, connect.NewRequest(&guestv1.ResizePtyRequest{ProcessId: id, Size: &guestv1.PtySize{Cols: cols, Rows: rows}}))
		return err
	}
	if err := resize(120, 40); err != nil {
		t.Fatal(err)
	}
	awaitText("40 120\r\n")
	_, err = a.proc.Update(ctx, connect.NewRequest(&processv1.UpdateRequest{
		Process: tagged(tag), Pty: &processv1.PTY{Size: &processv1.PTY_Size{Cols: 65535, Rows: 1}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	awaitText("1 65535\r\n")
	for _, size := range [][2]uint32{{0, 1}, {1, 0}, {65536, 1}, {1, 65536}} {
		if err := resize(size[0], size[1]); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%v: %v", size, err)
		}
	}
	if _, err := a.guest.WriteStdin(ctx, connect.NewRequest(&guestv1.WriteStdinRequest{ProcessId: id, Data: []byte("\n")})); err != nil {
		t.Error(err)
	}
	if r := collect(stream); r.exit.GetExitCode() != 0 || r.exit == nil {
		t.Errorf("%v %v", r.exit, r.err)
	}
}

func TestAProgramThatClosesItsTerminalRunsOnAndMayOpenItAgain(t *testing.T) {
	a := start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stream, err := a.guest.Exec(ctx, connect.NewRequest(&guestv1.ExecRequest{
		Argv: []string{"sh", "-c", "stty -onlcr; echo before; exec <&- >&- 2>&-; sleep 0.2; echo after >/dev/tty; sleep 0.2; exit 5"},
		Pty:  &guestv1.PtySize{Cols: 80, Rows: 24},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Close() }()
	var seen strings.Builder
	var exit *guestv1.ExecEvent_Exit
	for stream.Receive() {
		seen.Write(stream.Msg().GetData().GetData())
		if e := stream.Msg().GetExit(); e != nil {
			exit = e
		}
	}
	if stream.Err() != nil || seen.String() != "before\nafter\n" || exit.GetExitCode() != 5 {
		t.Fatalf("%q, exit %v, %v", seen.String(), exit, stream.Err())
	}
}
