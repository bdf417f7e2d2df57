package serve

import (
	"context"
	"errors"
	"io"
	"syscall"

	"connectrpc.com/connect"

	processv1 "stacyvm/native/gen/process"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/process"
)

func (s *processes) selected(by *processv1.ProcessSelector) (*process.Process, error) {
	var is func(*process.Process) bool
	switch selector := by.GetSelector().(type) {
	case *processv1.ProcessSelector_Pid:
		is = func(p *process.Process) bool { return p.PID == int(selector.Pid) && p.PID != 0 }
	case *processv1.ProcessSelector_Tag:
		is = func(p *process.Process) bool { return p.Spec.Tag == selector.Tag && selector.Tag != "" }
	default:
		return nil, fault.New(fault.Invalid, "process selector is missing")
	}
	if p, ok := s.table.Find(is); ok {
		return p, nil
	}
	return nil, fault.New(fault.NotFound, "process %s does not exist", by)
}

// List gives the processes that live, as that API does.
func (s *processes) List(context.Context, *connect.Request[processv1.ListRequest]) (*connect.Response[processv1.ListResponse], error) {
	answer := &processv1.ListResponse{}
	for _, p := range s.table.List() {
		if state, _ := p.State(); state == process.Exited {
			continue
		}
		argv := p.Argv()
		info := &processv1.ProcessInfo{
			Pid:    uint32(p.PID),
			Config: &processv1.ProcessConfig{Cmd: argv[0], Args: argv[1:], Envs: p.Env(), Cwd: &p.Cwd},
		}
		if p.Spec.Tag != "" {
			info.Tag = &p.Spec.Tag
		}
		answer.Processes = append(answer.Processes, info)
	}
	return one(answer, nil)
}

func (s *processes) Update(_ context.Context, req *connect.Request[processv1.UpdateRequest]) (*connect.Response[processv1.UpdateResponse], error) {
	p, err := s.selected(req.Msg.Process)
	if err == nil && req.Msg.Pty != nil {
		var size process.Size
		if size, err = sizeOf(req.Msg.Pty.GetSize().GetCols(), req.Msg.Pty.GetSize().GetRows()); err == nil {
			err = p.Resize(size)
		}
	}
	return one(&processv1.UpdateResponse{}, err)
}

func (s *processes) SendInput(ctx context.Context, req *connect.Request[processv1.SendInputRequest]) (*connect.Response[processv1.SendInputResponse], error) {
	p, err := s.selected(req.Msg.Process)
	if err == nil {
		err = feed(ctx, p, req.Msg.Input)
	}
	return one(&processv1.SendInputResponse{}, err)
}

func feed(ctx context.Context, p *process.Process, input *processv1.ProcessInput) error {
	switch in := input.GetInput().(type) {
	case *processv1.ProcessInput_Stdin:
		if p.Spec.Pty != nil {
			return fault.New(fault.Precondition, "process has a pty: send pty input")
		}
		return p.Write(ctx, in.Stdin)
	case *processv1.ProcessInput_Pty:
		if p.Spec.Pty == nil {
			return fault.New(fault.Precondition, "process has no pty")
		}
		return p.Write(ctx, in.Pty)
	}
	return fault.New(fault.Invalid, "input is missing")
}

func (s *processes) StreamInput(ctx context.Context, stream *connect.ClientStream[processv1.StreamInputRequest]) (*connect.Response[processv1.StreamInputResponse], error) {
	var p *process.Process
	for stream.Receive() {
		var err error
		switch event := stream.Msg().Event.(type) {
		case *processv1.StreamInputRequest_Start:
			p, err = s.selected(event.Start.Process)
		case *processv1.StreamInputRequest_Data:
			if p == nil {
				err = fault.New(fault.Invalid, "the first message must be start")
			} else {
				err = feed(ctx, p, event.Data.Input)
			}
		}
		if err != nil {
			return nil, connectError(err)
		}
	}
	if err := stream.Err(); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return one(&processv1.StreamInputResponse{}, nil)
}

// SendSignal reaches the leader and its descendants: a shell must not survive as an orphaned pipeline.
func (s *processes) SendSignal(_ context.Context, req *connect.Request[processv1.SendSignalRequest]) (*connect.Response[processv1.SendSignalResponse], error) {
	p, err := s.selected(req.Msg.Process)
	if err == nil {
		switch req.Msg.Signal {
		case processv1.Signal_SIGNAL_SIGTERM, processv1.Signal_SIGNAL_SIGKILL:
			err = p.Signal(syscall.Signal(req.Msg.Signal), true)
		default:
			err = fault.New(fault.Invalid, "signal must be SIGTERM or SIGKILL")
		}
	}
	return one(&processv1.SendSignalResponse{}, err)
}

func (s *processes) CloseStdin(_ context.Context, req *connect.Request[processv1.CloseStdinRequest]) (*connect.Response[processv1.CloseStdinResponse], error) {
	p, err := s.selected(req.Msg.Process)
	if err == nil {
		err = p.CloseStdin()
	}
	return one(&processv1.CloseStdinResponse{}, err)
}
