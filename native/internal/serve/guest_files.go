package serve

import (
	"context"

	"connectrpc.com/connect"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

func (g *guest) Chmod(_ context.Context, req *connect.Request[guestv1.ChmodRequest]) (*connect.Response[guestv1.ChmodResponse], error) {
	return one(&guestv1.ChmodResponse{}, g.files.Chmod(req.Msg.Path, req.Msg.Mode))
}

func (g *guest) Move(_ context.Context, req *connect.Request[guestv1.MoveRequest]) (*connect.Response[guestv1.MoveResponse], error) {
	_, err := g.files.Move(req.Msg.Source, req.Msg.Destination, nil)
	return one(&guestv1.MoveResponse{}, err)
}

func (g *guest) Remove(_ context.Context, req *connect.Request[guestv1.RemoveRequest]) (*connect.Response[guestv1.RemoveResponse], error) {
	return one(&guestv1.RemoveResponse{}, g.files.Remove(req.Msg.Path, req.Msg.Recursive))
}

func (g *guest) Glob(_ context.Context, req *connect.Request[guestv1.GlobRequest]) (*connect.Response[guestv1.GlobResponse], error) {
	paths, truncated, err := g.files.Glob(req.Msg.Pattern, int(min(req.Msg.Limit, 1<<30)))
	return one(&guestv1.GlobResponse{Paths: paths, Truncated: truncated}, err)
}
