package serve

import (
	"context"
	"time"

	"connectrpc.com/connect"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
	"stacyvm/native/internal/ports"
	"stacyvm/native/internal/usage"
)

func (g *guest) Usage(context.Context, *connect.Request[guestv1.UsageRequest]) (*connect.Response[guestv1.UsageResponse], error) {
	u := usage.Now(g.table.Defaults().Cwd)
	return one(&guestv1.UsageResponse{
		CpuUs: u.CPUUs, MemoryBytes: u.MemoryBytes, MemoryLimitBytes: u.MemoryLimitBytes, Processes: uint32(u.Processes),
		DiskUsedBytes: u.DiskUsedBytes, DiskTotalBytes: u.DiskTotalBytes,
	}, nil)
}

func (g *guest) Info(context.Context, *connect.Request[guestv1.InfoRequest]) (*connect.Response[guestv1.InfoResponse], error) {
	defaults := g.table.Defaults()
	return one(&guestv1.InfoResponse{
		Version: g.version, StartedAtMs: g.started.UnixMilli(), TreeKill: g.table.TreeKill(),
		DefaultUser: defaults.User, DefaultCwd: defaults.Cwd,
	}, nil)
}

func (g *guest) ListPorts(context.Context, *connect.Request[guestv1.ListPortsRequest]) (*connect.Response[guestv1.ListPortsResponse], error) {
	answer := &guestv1.ListPortsResponse{}
	for _, p := range ports.Listening() {
		if uint32(p.Port) == g.ownPort {
			continue
		}
		answer.Ports = append(answer.Ports, &guestv1.ListeningPort{
			Port: uint32(p.Port), Address: p.Address, Pid: uint32(p.PID), Command: p.Command,
		})
	}
	return one(answer, nil)
}

func (g *guest) Shutdown(context.Context, *connect.Request[guestv1.ShutdownRequest]) (*connect.Response[guestv1.ShutdownResponse], error) {
	// The answer leaves before the listener closes: closing waits for requests under way.
	time.AfterFunc(time.Millisecond, g.Stop)
	return one(&guestv1.ShutdownResponse{}, nil)
}
