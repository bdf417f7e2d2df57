package serve

import (
	"context"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"

	filesystemv1 "stacyvm/native/gen/filesystem"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/files"
)

type filesystem struct{ *Server }

func entryOf(e files.Entry) *filesystemv1.EntryInfo {
	info := &filesystemv1.EntryInfo{
		Name: e.Name, Type: filesystemv1.FileType(e.Kind), Path: e.Path, Size: e.Size, Mode: e.Mode, Permissions: e.Perms,
		Owner: e.Owner, Group: e.Group, ModifiedTime: timestamppb.New(e.Modified), Metadata: e.Metadata,
	}
	if e.IsLink {
		info.SymlinkTarget = &e.LinkTarget
	}
	return info
}

func (f *filesystem) locate(h http.Header, name string) (string, *files.Owner, error) {
	if name == "" {
		return "", nil, fault.New(fault.Invalid, "path is missing")
	}
	who, owner, err := f.identity(basicUser(h))
	if err != nil {
		return "", nil, err
	}
	full, err := absolute(name, who)
	return full, owner, err
}

func (f *filesystem) Stat(_ context.Context, req *connect.Request[filesystemv1.StatRequest]) (*connect.Response[filesystemv1.StatResponse], error) {
	name, _, err := f.locate(req.Header(), req.Msg.Path)
	if err != nil {
		return nil, connectError(err)
	}
	e, err := f.files.Stat(name)
	return one(&filesystemv1.StatResponse{Entry: entryOf(e)}, err)
}

func (f *filesystem) MakeDir(_ context.Context, req *connect.Request[filesystemv1.MakeDirRequest]) (*connect.Response[filesystemv1.MakeDirResponse], error) {
	name, owner, err := f.locate(req.Header(), req.Msg.Path)
	if err != nil {
		return nil, connectError(err)
	}
	e, err := f.files.MakeDir(name, owner)
	return one(&filesystemv1.MakeDirResponse{Entry: entryOf(e)}, err)
}

func (f *filesystem) Move(_ context.Context, req *connect.Request[filesystemv1.MoveRequest]) (*connect.Response[filesystemv1.MoveResponse], error) {
	source, owner, err := f.locate(req.Header(), req.Msg.Source)
	if err != nil {
		return nil, connectError(err)
	}
	destination, _, err := f.locate(req.Header(), req.Msg.Destination)
	if err != nil {
		return nil, connectError(err)
	}
	e, err := f.files.Move(source, destination, owner)
	return one(&filesystemv1.MoveResponse{Entry: entryOf(e)}, err)
}

func (f *filesystem) ListDir(_ context.Context, req *connect.Request[filesystemv1.ListDirRequest]) (*connect.Response[filesystemv1.ListDirResponse], error) {
	name, _, err := f.locate(req.Header(), req.Msg.Path)
	if err != nil {
		return nil, connectError(err)
	}
	entries, err := f.files.List(name, int(min(req.Msg.Depth, 1<<30)))
	answer := &filesystemv1.ListDirResponse{}
	for _, e := range entries {
		answer.Entries = append(answer.Entries, entryOf(e))
	}
	return one(answer, err)
}

func (f *filesystem) Remove(_ context.Context, req *connect.Request[filesystemv1.RemoveRequest]) (*connect.Response[filesystemv1.RemoveResponse], error) {
	name, _, err := f.locate(req.Header(), req.Msg.Path)
	if err == nil {
		err = f.files.Remove(name, true)
	}
	return one(&filesystemv1.RemoveResponse{}, err)
}
