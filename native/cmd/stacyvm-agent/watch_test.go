package main

import (
	"context"
	"os"
	"testing"

	"connectrpc.com/connect"

	filesystemv1 "stacyvm/native/gen/filesystem"
	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

func TestChangesBelowAWatchedDirectoryAreTold(t *testing.T) {
	a, ctx := start(t), context.Background()
	base := a.dir + "/work"
	created, err := a.fs.CreateWatcher(ctx, connect.NewRequest(&filesystemv1.CreateWatcherRequest{Path: base, Recursive: true, IncludeEntry: true}))
	if err != nil {
		t.Fatal(err)
	}
	id := created.Msg.WatcherId
	_ = os.MkdirAll(base+"/new/deep", 0o755)
	_ = os.WriteFile(base+"/new/deep/file", []byte("x"), 0o644)
	seen := map[string]bool{}
	eventually(t, "the file in the new directory is told", func() bool {
		got, err := a.fs.GetWatcherEvents(ctx, connect.NewRequest(&filesystemv1.GetWatcherEventsRequest{WatcherId: id}))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got.Msg.Events {
			seen[e.Name+" "+e.Type.String()] = true
		}
		return seen["new EVENT_TYPE_CREATE"] && seen["new/deep/file EVENT_TYPE_CREATE"]
	})
	if _, err := a.fs.RemoveWatcher(ctx, connect.NewRequest(&filesystemv1.RemoveWatcherRequest{WatcherId: id})); err != nil {
		t.Error(err)
	}
	_, err = a.fs.GetWatcherEvents(ctx, connect.NewRequest(&filesystemv1.GetWatcherEventsRequest{WatcherId: id}))
	if connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a removed watcher: %v", err)
	}
	stream, err := a.fs.WatchDir(ctx, connect.NewRequest(&filesystemv1.WatchDirRequest{Path: base}))
	if err != nil || !stream.Receive() || stream.Msg().GetStart() == nil {
		t.Fatal(err)
	}
	_ = os.Remove(base + "/new/deep/file")
	_ = os.WriteFile(base+"/direct", nil, 0o644)
	if !stream.Receive() || stream.Msg().GetFilesystem().GetName() != "direct" {
		t.Errorf("streamed %v", stream.Msg())
	}
	_ = stream.Close()
}

func TestShutdownEndsEverything(t *testing.T) {
	a := start(t)
	stream, err := a.guest.Exec(context.Background(), connect.NewRequest(&guestv1.ExecRequest{Argv: []string{"sleep", "3175"}}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	if _, err := a.guest.Shutdown(context.Background(), connect.NewRequest(&guestv1.ShutdownRequest{})); err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Wait(); err != nil {
		t.Errorf("the agent ended with %v", err)
	}
	if r := collect(stream); r.exit.GetExitCode() != 137 {
		t.Errorf("the process ended with %v, %v", r.exit, r.err)
	}
}
