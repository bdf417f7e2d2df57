package serve

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/output"
	"stacyvm/native/internal/process"
)

type guest struct{ *Server }

type execStream = connect.ServerStream[guestv1.ExecEvent]

// keepaliveHeader asks for a ping in a stream at least every so many seconds.
const (
	keepaliveHeader  = "Keepalive-Ping-Interval"
	keepaliveDefault = 90 * time.Second
)

func keepaliveOf(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get(keepaliveHeader))
	if err != nil || seconds < 1 || seconds > 3600 {
		return keepaliveDefault
	}
	return time.Duration(seconds) * time.Second
}

func (g *guest) Exec(ctx context.Context, req *connect.Request[guestv1.ExecRequest], stream *execStream) error {
	m := req.Msg
	spec, err := specOf(m)
	if err != nil {
		return connectError(err)
	}
	spec.Primary = true
	p, err := g.table.Start(spec)
	if err != nil {
		return connectError(err)
	}
	defer func() {
		p.Primary.Detach()
		if !m.Durable {
			if p.Exit() == nil {
				p.Kill()
			}
			g.table.Release(p)
		}
	}()
	if err := sendStart(stream, p); err != nil {
		return err
	}
	if err := follow(ctx, p, p.Primary, stream, keepaliveOf(req.Header()), true); err != nil {
		return err
	}
	select {
	case <-p.Exited():
	case <-ctx.Done():
		return connectError(ctx.Err())
	}
	return sendExit(stream, p)
}

func (g *guest) Attach(ctx context.Context, req *connect.Request[guestv1.AttachRequest], stream *execStream) error {
	p, err := g.table.Get(req.Msg.ProcessId)
	if err != nil {
		return connectError(err)
	}
	reader := p.Ring.Follow(req.Msg.Offset, g.limits.Readers)
	if reader == nil {
		return connectError(fault.Exceeds("readers", g.limits.Readers))
	}
	defer reader.Detach()
	if err := sendStart(stream, p); err != nil {
		return err
	}
	return follow(ctx, p, reader, stream, keepaliveOf(req.Header()), req.Msg.Follow)
}

func specOf(m *guestv1.ExecRequest) (process.Spec, error) {
	spec := process.Spec{
		Argv: m.GetArgv(), Env: m.GetEnv(), Cwd: m.GetCwd(), User: m.GetUser(), Stdin: m.GetStdin(), StdinOpen: m.GetStdinOpen(),
		Timeout: time.Duration(m.GetTimeoutMs()) * time.Millisecond, MaxOutputBytes: m.GetMaxOutputBytes(), Tag: m.GetTag(),
	}
	if m.GetPty() != nil {
		size, err := sizeOf(m.Pty.Cols, m.Pty.Rows)
		if err != nil {
			return spec, err
		}
		spec.Pty = &size
	}
	return spec, nil
}

// follow sends output until its end, or without wait until it has caught up with the present.
func follow(ctx context.Context, p *process.Process, reader *output.Reader, stream *execStream, keepalive time.Duration, wait bool) error {
	for {
		chunk, err := nextOrPing(ctx, reader, keepalive, func() error {
			return stream.Send(&guestv1.ExecEvent{Event: &guestv1.ExecEvent_Keepalive{Keepalive: &guestv1.ExecEvent_KeepAlive{}}})
		})
		if err != nil {
			return connectError(err)
		}
		event := &guestv1.ExecEvent{}
		switch chunk.Event {
		case output.End:
			return nil
		case output.Data:
			event.Event = &guestv1.ExecEvent_Data_{Data: &guestv1.ExecEvent_Data{
				Stream: guestv1.Stream(chunk.Stream), Data: chunk.Bytes, Offset: chunk.Offset,
			}}
		case output.Lost:
			event.Event = &guestv1.ExecEvent_Gap_{Gap: &guestv1.ExecEvent_Gap{FromOffset: chunk.Offset, ToOffset: chunk.Until}}
		case output.Live:
			event.Event = &guestv1.ExecEvent_Live_{Live: &guestv1.ExecEvent_Live{Offset: chunk.Offset}}
		case output.Marked:
			event.Event = &guestv1.ExecEvent_Exit_{Exit: exitOf(p.Exit())}
		}
		if err := stream.Send(event); err != nil {
			return err
		}
		if chunk.Event == output.Live && !wait {
			if next, ok := reader.Try(bound.ChunkBytes); ok && next.Event == output.Marked {
				return sendExit(stream, p)
			}
			return nil
		}
	}
}

// nextOrPing waits for a chunk and pings while there is none.
func nextOrPing(ctx context.Context, reader *output.Reader, every time.Duration, ping func() error) (output.Chunk, error) {
	for {
		if chunk, ok := reader.Try(bound.ChunkBytes); ok {
			return chunk, nil
		}
		waiting, cancel := context.WithTimeout(ctx, every)
		chunk, err := reader.Next(waiting, bound.ChunkBytes)
		cancel()
		if err == nil || ctx.Err() != nil {
			return chunk, err
		}
		if err := ping(); err != nil {
			return output.Chunk{}, err
		}
	}
}

func sendStart(stream *execStream, p *process.Process) error {
	return stream.Send(&guestv1.ExecEvent{Event: &guestv1.ExecEvent_Start_{
		Start: &guestv1.ExecEvent_Start{Pid: uint32(p.PID), ProcessId: p.ID},
	}})
}

func sendExit(stream *execStream, p *process.Process) error {
	return stream.Send(&guestv1.ExecEvent{Event: &guestv1.ExecEvent_Exit_{Exit: exitOf(p.Exit())}})
}

func exitOf(e *process.Exit) *guestv1.ExecEvent_Exit {
	if e == nil {
		return nil
	}
	return &guestv1.ExecEvent_Exit{
		ExitCode: int32(e.Code), Signal: int32(e.Signal), TimedOut: e.TimedOut, Truncated: e.Truncated,
		Background: e.Background, DurationUs: uint64(e.Duration.Microseconds()), OutputBytes: e.OutputBytes,
	}
}

func sizeOf(cols, rows uint32) (process.Size, error) {
	if cols < 1 || rows < 1 || cols > 65535 || rows > 65535 {
		return process.Size{}, fault.New(fault.Invalid, "pty needs cols and rows from 1 to 65535")
	}
	return process.Size{Cols: uint16(cols), Rows: uint16(rows)}, nil
}
