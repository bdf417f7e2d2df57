package main

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect"

	processv1 "stacyvm/native/gen/process"
)

func tagged(tag string) *processv1.ProcessSelector {
	return &processv1.ProcessSelector{Selector: &processv1.ProcessSelector_Tag{Tag: tag}}
}

func input(text string) *processv1.ProcessInput {
	return &processv1.ProcessInput{Input: &processv1.ProcessInput_Stdin{Stdin: []byte(text)}}
}

func TestTheCommonProcessServiceDrivesAProcess(t *testing.T) {
	a, ctx, tag := start(t), context.Background(), "cat"
	stream, err := a.proc.Start(ctx, connect.NewRequest(&processv1.StartRequest{
		Process: &processv1.ProcessConfig{Cmd: "sh", Args: []string{"-c", "cat; echo err >&2; exit $CODE"}, Envs: map[string]string{"CODE": "5"}}, Tag: &tag,
	}))
	if err != nil || !stream.Receive() || stream.Msg().Event.GetStart().GetPid() == 0 {
		t.Fatal(err)
	}
	follower, err := a.proc.Connect(ctx, connect.NewRequest(&processv1.ConnectRequest{Process: tagged(tag)}))
	if err != nil || !follower.Receive() {
		t.Fatal(err)
	}
	if _, err := a.proc.SendInput(ctx, connect.NewRequest(&processv1.SendInputRequest{Process: tagged(tag), Input: input("one ")})); err != nil {
		t.Error(err)
	}
	feed := a.proc.StreamInput(ctx)
	_ = feed.Send(&processv1.StreamInputRequest{Event: &processv1.StreamInputRequest_Start{Start: &processv1.StreamInputRequest_StartEvent{Process: tagged(tag)}}})
	_ = feed.Send(&processv1.StreamInputRequest{Event: &processv1.StreamInputRequest_Data{Data: &processv1.StreamInputRequest_DataEvent{Input: input("two")}}})
	if _, err := feed.CloseAndReceive(); err != nil {
		t.Error(err)
	}
	list, err := a.proc.List(ctx, connect.NewRequest(&processv1.ListRequest{}))
	if err != nil || len(list.Msg.Processes) != 1 || list.Msg.Processes[0].GetTag() != tag || list.Msg.Processes[0].Config.Cmd != "sh" {
		t.Errorf("listed %v %v", list, err)
	}
	if _, err := a.proc.CloseStdin(ctx, connect.NewRequest(&processv1.CloseStdinRequest{Process: tagged(tag)})); err != nil {
		t.Error(err)
	}
	var out, errOut, seen strings.Builder
	var end *processv1.ProcessEvent_EndEvent
	for stream.Receive() {
		out.Write(stream.Msg().Event.GetData().GetStdout())
		errOut.Write(stream.Msg().Event.GetData().GetStderr())
		end = stream.Msg().Event.GetEnd()
	}
	if out.String() != "one two" || errOut.String() != "err\n" || end.GetExitCode() != 5 || !end.GetExited() || end.GetStatus() != "exit status 5" {
		t.Errorf("%q %q %v %v", out.String(), errOut.String(), end, stream.Err())
	}
	for follower.Receive() {
		seen.Write(follower.Msg().Event.GetData().GetStdout())
	}
	if seen.String() != "one two" {
		t.Errorf("the follower saw %q", seen.String())
	}
}

func TestASignalReachesTheWholeTree(t *testing.T) {
	a, ctx, tag := start(t), context.Background(), "pipeline"
	stream, err := a.proc.Start(ctx, connect.NewRequest(&processv1.StartRequest{
		Process: &processv1.ProcessConfig{Cmd: "sh", Args: []string{"-c", "sleep 3174 | cat; true"}}, Tag: &tag,
	}))
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	if _, err := a.proc.SendSignal(ctx, connect.NewRequest(&processv1.SendSignalRequest{Process: tagged(tag), Signal: processv1.Signal_SIGNAL_SIGKILL})); err != nil {
		t.Fatal(err)
	}
	var end *processv1.ProcessEvent_EndEvent
	for stream.Receive() {
		end = stream.Msg().Event.GetEnd()
	}
	if end.GetExitCode() != 137 || end.GetExited() || end.GetStatus() != "signal: killed" {
		t.Errorf("%v %v", end, stream.Err())
	}
}
