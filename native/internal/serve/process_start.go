package serve

import (
	"context"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"connectrpc.com/connect"

	processv1 "stacyvm/native/gen/process"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/output"
	"stacyvm/native/internal/process"
)

type processes struct{ *Server }

func (s *processes) Start(ctx context.Context, req *connect.Request[processv1.StartRequest], stream *connect.ServerStream[processv1.StartResponse]) error {
	m := req.Msg
	config := m.GetProcess()
	who, _, err := s.identity(basicUser(req.Header()))
	if err != nil {
		return connectError(err)
	}
	spec := process.Spec{
		Argv: append([]string{config.GetCmd()}, config.GetArgs()...), Env: config.GetEnvs(), Tag: m.GetTag(),
		User: basicUser(req.Header()), StdinOpen: m.Stdin == nil || *m.Stdin, Timeout: timeoutOf(req.Header()), Primary: true,
	}
	if cwd := config.GetCwd(); cwd != "" {
		if spec.Cwd, err = absolute(cwd, who); err != nil {
			return connectError(err)
		}
	}
	if m.Pty != nil {
		size, err := sizeOf(m.Pty.GetSize().GetCols(), m.Pty.GetSize().GetRows())
		if err != nil {
			return connectError(err)
		}
		spec.Pty = &size
	}
	p, err := s.table.Start(spec)
	if err != nil {
		return connectError(err)
	}
	defer p.Primary.Detach()
	return relay(ctx, p, p.Primary, req.Header(), func(e *processv1.ProcessEvent) error {
		return stream.Send(&processv1.StartResponse{Event: e})
	})
}

// Connect follows a process from now on.
func (s *processes) Connect(ctx context.Context, req *connect.Request[processv1.ConnectRequest], stream *connect.ServerStream[processv1.ConnectResponse]) error {
	p, err := s.selected(req.Msg.Process)
	if err != nil {
		return connectError(err)
	}
	_, next := p.Ring.Offsets()
	reader := p.Ring.Follow(next, s.limits.Readers)
	if reader == nil {
		return connectError(fault.Exceeds("readers", s.limits.Readers))
	}
	defer reader.Detach()
	return relay(ctx, p, reader, req.Header(), func(e *processv1.ProcessEvent) error {
		return stream.Send(&processv1.ConnectResponse{Event: e})
	})
}

// timeoutOf reads Connect's own deadline: there it is the process's life, not the call's.
func timeoutOf(h http.Header) time.Duration {
	ms, err := strconv.ParseInt(h.Get("Connect-Timeout-Ms"), 10, 64)
	if err != nil || ms <= 0 || ms > int64(365*24*time.Hour/time.Millisecond) {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

// relay sends start, output and end. A process goes on when its stream is cancelled.
func relay(ctx context.Context, p *process.Process, reader *output.Reader, h http.Header, send func(*processv1.ProcessEvent) error) error {
	err := send(&processv1.ProcessEvent{Event: &processv1.ProcessEvent_Start{Start: &processv1.ProcessEvent_StartEvent{Pid: uint32(p.PID)}}})
	for err == nil {
		var chunk output.Chunk
		chunk, err = nextOrPing(ctx, reader, keepaliveOf(h), func() error {
			return send(&processv1.ProcessEvent{Event: &processv1.ProcessEvent_Keepalive{Keepalive: &processv1.ProcessEvent_KeepAlive{}}})
		})
		if err != nil || chunk.Event == output.End {
			break
		}
		switch chunk.Event {
		case output.Data:
			err = send(dataOf(chunk))
		case output.Lost:
			err = connect.NewError(connect.CodeDataLoss, fault.New(fault.Exhausted, "reader too slow: output was lost"))
		}
	}
	if err != nil {
		return connectError(err)
	}
	select {
	case <-p.Exited():
	case <-ctx.Done():
		return connectError(ctx.Err())
	}
	return send(&processv1.ProcessEvent{Event: &processv1.ProcessEvent_End{End: endOf(p.Exit())}})
}

func dataOf(chunk output.Chunk) *processv1.ProcessEvent {
	data := &processv1.ProcessEvent_DataEvent{}
	switch chunk.Stream {
	case output.Stdout:
		data.Output = &processv1.ProcessEvent_DataEvent_Stdout{Stdout: chunk.Bytes}
	case output.Stderr:
		data.Output = &processv1.ProcessEvent_DataEvent_Stderr{Stderr: chunk.Bytes}
	case output.Pty:
		data.Output = &processv1.ProcessEvent_DataEvent_Pty{Pty: chunk.Bytes}
	}
	return &processv1.ProcessEvent{Event: &processv1.ProcessEvent_Data{Data: data}}
}

func endOf(exit *process.Exit) *processv1.ProcessEvent_EndEvent {
	end := &processv1.ProcessEvent_EndEvent{ExitCode: int32(exit.Code), Exited: exit.Signal == 0}
	if exit.Signal == 0 {
		end.Status = "exit status " + strconv.Itoa(exit.Code)
	} else {
		end.Status = "signal: " + syscall.Signal(exit.Signal).String()
	}
	if exit.Code != 0 {
		why := end.Status
		if exit.TimedOut {
			why = "deadline exceeded"
		}
		end.Error = &why
	}
	return end
}
