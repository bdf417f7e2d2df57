package serve

import (
	"context"
	"os"
	"syscall"

	"connectrpc.com/connect"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/process"
	"stacyvm/native/internal/tree"
)

const (
	// tickUs is one clock tick of /proc in microseconds: 100 per second on every Linux.
	tickUs = 10_000
)

func (g *guest) ListProcesses(context.Context, *connect.Request[guestv1.ListProcessesRequest]) (*connect.Response[guestv1.ListProcessesResponse], error) {
	answer := &guestv1.ListProcessesResponse{}
	for _, p := range g.table.List() {
		answer.Processes = append(answer.Processes, detailOf(p))
	}
	return one(answer, nil)
}

func detailOf(p *process.Process) *guestv1.ProcessDetail {
	state, ended := p.State()
	d := &guestv1.ProcessDetail{
		ProcessId: p.ID, Pid: uint32(p.PID), Argv: p.Spec.Argv, Cwd: p.Cwd, User: p.User, Tag: p.Spec.Tag,
		State: guestv1.ProcessState(state), Exit: exitOf(p.Exit()), Pty: p.Spec.Pty != nil, StdinOpen: p.StdinOpen(),
		StartedAtMs: p.Started.UnixMilli(),
	}
	d.FirstOffset, d.NextOffset = p.Ring.Offsets()
	if state == process.Exited {
		d.EndedAtMs = ended.UnixMilli()
		return d
	}
	for _, pid := range p.Tree().Pids() {
		if s, ok := tree.ReadStat(pid); ok {
			d.Processes++
			d.CpuUs += (s.CPUTicks + s.ReapedTicks) * tickUs
			d.MemoryBytes += s.ResidentPages * uint64(os.Getpagesize())
		}
	}
	return d
}

func (g *guest) SignalProcess(_ context.Context, req *connect.Request[guestv1.SignalProcessRequest]) (*connect.Response[guestv1.SignalProcessResponse], error) {
	p, err := g.table.Get(req.Msg.ProcessId)
	if err == nil {
		err = p.Signal(syscall.Signal(req.Msg.Signal), req.Msg.Tree)
	}
	return one(&guestv1.SignalProcessResponse{}, err)
}

func (g *guest) WriteStdin(ctx context.Context, req *connect.Request[guestv1.WriteStdinRequest]) (*connect.Response[guestv1.WriteStdinResponse], error) {
	p, err := g.table.Get(req.Msg.ProcessId)
	if err == nil {
		err = p.Write(ctx, req.Msg.Data)
	}
	return one(&guestv1.WriteStdinResponse{}, err)
}

func (g *guest) CloseStdin(_ context.Context, req *connect.Request[guestv1.CloseStdinRequest]) (*connect.Response[guestv1.CloseStdinResponse], error) {
	p, err := g.table.Get(req.Msg.ProcessId)
	if err == nil {
		err = p.CloseStdin()
	}
	return one(&guestv1.CloseStdinResponse{}, err)
}

func (g *guest) ResizePty(_ context.Context, req *connect.Request[guestv1.ResizePtyRequest]) (*connect.Response[guestv1.ResizePtyResponse], error) {
	p, err := g.table.Get(req.Msg.ProcessId)
	if err == nil && req.Msg.Size == nil {
		err = fault.New(fault.Invalid, "size is missing")
	}
	if err == nil {
		var size process.Size
		if size, err = sizeOf(req.Msg.Size.Cols, req.Msg.Size.Rows); err == nil {
			err = p.Resize(size)
		}
	}
	return one(&guestv1.ResizePtyResponse{}, err)
}
