package main

import (
	"context"
	"testing"
	"time"

	"connectrpc.com/connect"

	filesystemv1 "stacyvm/native/gen/filesystem"
	processv1 "stacyvm/native/gen/process"
	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

// pinged asks a stream for a ping each second, the smallest interval.
func pinged[T any](message *T) *connect.Request[T] {
	request := connect.NewRequest(message)
	request.Header().Set("Keepalive-Ping-Interval", "1")
	return request
}

func TestAnIdleStreamIsPingedAndStillDelivers(t *testing.T) {
	a, tag := start(t), "idle"
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stream, err := a.guest.Exec(ctx, pinged(&guestv1.ExecRequest{Argv: []string{"cat"}, StdinOpen: true, Tag: tag}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	id := stream.Msg().GetStart().ProcessId
	attached, err := a.guest.Attach(ctx, pinged(&guestv1.AttachRequest{ProcessId: id, Follow: true}))
	if err != nil {
		t.Fatal(err)
	}
	connected, err := a.proc.Connect(ctx, pinged(&processv1.ConnectRequest{Process: tagged(tag)}))
	if err != nil {
		t.Fatal(err)
	}
	watched, err := a.fs.WatchDir(ctx, pinged(&filesystemv1.WatchDirRequest{Path: a.dir + "/work"}))
	if err != nil {
		t.Fatal(err)
	}
	for what, next := range map[string]func() (ping, more bool){
		"exec":   func() (bool, bool) { more := stream.Receive(); return stream.Msg().GetKeepalive() != nil, more },
		"attach": func() (bool, bool) { more := attached.Receive(); return attached.Msg().GetKeepalive() != nil, more },
		"connect": func() (bool, bool) {
			more := connected.Receive()
			return connected.Msg().Event.GetKeepalive() != nil, more
		},
		"watch": func() (bool, bool) { more := watched.Receive(); return watched.Msg().GetKeepalive() != nil, more },
	} {
		for pings := 0; pings < 2; {
			ping, more := next()
			if !more {
				t.Fatalf("%s ended without a ping", what)
			}
			if ping {
				pings++
			}
		}
	}
	if _, err := a.proc.SendInput(ctx, connect.NewRequest(&processv1.SendInputRequest{Process: tagged(tag), Input: input("late")})); err != nil {
		t.Error(err)
	}
	if _, err := a.guest.CloseStdin(ctx, connect.NewRequest(&guestv1.CloseStdinRequest{ProcessId: id})); err != nil {
		t.Error(err)
	}
	for what, r := range map[string]result{"exec": collect(stream), "attach": collect(attached)} {
		if string(r.stdout) != "late" || r.exit == nil {
			t.Errorf("%s: %q %v %v", what, r.stdout, r.exit, r.err)
		}
	}
}
