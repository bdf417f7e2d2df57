package serve

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"time"

	"connectrpc.com/connect"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/process"
	"stacyvm/native/internal/tree"
)

// maxMembers bounds how many of a tree's processes are told one by one.
const maxMembers = 256

// StartProcess starts a process that nobody follows.
func (g *guest) StartProcess(_ context.Context, req *connect.Request[guestv1.StartProcessRequest]) (*connect.Response[guestv1.StartProcessResponse], error) {
	spec, err := specOf(req.Msg.Process)
	if err == nil && req.Msg.ProcessId == "" {
		err = fault.New(fault.Invalid, "process_id is missing")
	}
	if err != nil {
		return nil, connectError(err)
	}
	spec.ID = req.Msg.ProcessId
	p, err := g.table.Start(spec)
	if err != nil {
		return nil, connectError(err)
	}
	return one(&guestv1.StartProcessResponse{Process: detailOf(p)}, nil)
}

func (g *guest) GetProcess(_ context.Context, req *connect.Request[guestv1.GetProcessRequest]) (*connect.Response[guestv1.GetProcessResponse], error) {
	p, err := g.table.Get(req.Msg.ProcessId)
	if err != nil {
		return nil, connectError(err)
	}
	return one(&guestv1.GetProcessResponse{Process: detailOf(p), Members: membersOf(p)}, nil)
}

func (g *guest) WaitProcess(ctx context.Context, req *connect.Request[guestv1.WaitProcessRequest]) (*connect.Response[guestv1.WaitProcessResponse], error) {
	p, err := g.table.Get(req.Msg.ProcessId)
	if err != nil {
		return nil, connectError(err)
	}
	over := time.NewTimer(time.Duration(req.Msg.WaitMs) * time.Millisecond)
	defer over.Stop()
	select {
	case <-p.Exited():
	case <-over.C:
	case <-ctx.Done():
		return nil, connectError(ctx.Err())
	}
	return one(&guestv1.WaitProcessResponse{Process: detailOf(p)}, nil)
}

func (g *guest) ListProcesses(context.Context, *connect.Request[guestv1.ListProcessesRequest]) (*connect.Response[guestv1.ListProcessesResponse], error) {
	answer := &guestv1.ListProcessesResponse{}
	for _, p := range g.table.List() {
		d := detailOf(p)
		d.Argv = process.Shown(d.Argv)
		answer.Processes = append(answer.Processes, d)
	}
	return one(answer, nil)
}

func detailOf(p *process.Process) *guestv1.ProcessDetail {
	state, ended := p.State()
	d := &guestv1.ProcessDetail{
		ProcessId: p.ID, Pid: uint32(p.PID), Argv: p.Argv(), Cwd: p.Cwd, User: p.User, Tag: p.Spec.Tag,
		State: guestv1.ProcessState(state), Exit: exitOf(p.Exit()), Pty: p.Spec.Pty != nil, StdinOpen: p.StdinOpen(),
		StartedAtMs: p.Started.UnixMilli(),
	}
	d.FirstOffset, d.NextOffset = p.Ring.Offsets()
	if state == process.Exited {
		d.EndedAtMs = ended.UnixMilli()
		return d
	}
	for _, s := range living(p) {
		d.Processes++
		d.CpuUs += (s.CPUTicks + s.ReapedTicks) * tree.TickUs
		d.MemoryBytes += s.ResidentPages * uint64(os.Getpagesize())
	}
	return d
}

// living are the members of a process's tree; a command that never started has no tree.
func living(p *process.Process) []tree.Stat {
	if state, _ := p.State(); state == process.Exited || p.Tree() == nil {
		return nil
	}
	var all []tree.Stat
	for _, pid := range p.Tree().Pids() {
		if s, ok := tree.ReadStat(pid); ok {
			all = append(all, s)
		}
	}
	return all
}

func membersOf(p *process.Process) []*guestv1.ChildProcess {
	var members []*guestv1.ChildProcess
	for _, s := range living(p) {
		if len(members) == maxMembers {
			break
		}
		members = append(members, &guestv1.ChildProcess{
			Pid: uint32(s.PID), ParentPid: uint32(max(s.Parent, 0)), Name: strings.ToValidUTF8(tree.Name(s.PID), "\ufffd"),
			CpuUs: (s.CPUTicks + s.ReapedTicks) * tree.TickUs, MemoryBytes: s.ResidentPages * uint64(os.Getpagesize()),
		})
	}
	return members
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
		err = writeWithin(ctx, p, req.Msg)
	}
	return one(&guestv1.WriteStdinResponse{}, err)
}

func writeWithin(ctx context.Context, p *process.Process, m *guestv1.WriteStdinRequest) error {
	if m.WaitMs == 0 {
		return p.Write(ctx, m.Data)
	}
	waiting, cancel := context.WithTimeout(ctx, time.Duration(m.WaitMs)*time.Millisecond)
	defer cancel()
	err := p.Write(waiting, m.Data)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fault.New(fault.Exhausted, "the process doesn't read its stdin and no more can wait for it")
	}
	return err
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
