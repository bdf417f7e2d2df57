package serve

import (
	"context"
	"crypto/rand"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	filesystemv1 "stacyvm/native/gen/filesystem"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/files"
)

// watchers counts both kinds: those of a stream and those that are polled.
type watchers struct {
	mu    sync.Mutex
	count int
	open  map[string]*pollWatcher
}

// pollIdle is how long a polled watcher lives without being asked.
const pollIdle = 10 * time.Minute

type pollWatcher struct {
	watch *files.Watch
	idle  *time.Timer
}

func (f *filesystem) watch(h http.Header, name string, o files.WatchOptions) (*files.Watch, error) {
	full, _, err := f.locate(h, name)
	if err != nil {
		return nil, err
	}
	f.watchers.mu.Lock()
	if f.watchers.count >= f.limits.Watchers {
		f.watchers.mu.Unlock()
		return nil, fault.Exceeds("watchers", f.limits.Watchers)
	}
	f.watchers.count++
	f.watchers.mu.Unlock()
	watch, err := f.files.Watch(full, o)
	if err != nil {
		f.unwatch(nil)
	}
	return watch, err
}

func (f *filesystem) unwatch(watch *files.Watch) {
	if watch != nil {
		watch.Close()
	}
	f.watchers.mu.Lock()
	defer f.watchers.mu.Unlock()
	f.watchers.count--
}

func (f *filesystem) WatchDir(ctx context.Context, req *connect.Request[filesystemv1.WatchDirRequest], stream *connect.ServerStream[filesystemv1.WatchDirResponse]) error {
	m := req.Msg
	watch, err := f.watch(req.Header(), m.Path, files.WatchOptions{Recursive: m.Recursive, IncludeEntry: m.IncludeEntry, AllowNetwork: m.AllowNetworkMounts})
	if err != nil {
		return connectError(err)
	}
	defer f.unwatch(watch)
	ping := time.NewTicker(keepaliveOf(req.Header()))
	defer ping.Stop()
	answer := &filesystemv1.WatchDirResponse{Event: &filesystemv1.WatchDirResponse_Start{Start: &filesystemv1.WatchDirResponse_StartEvent{}}}
	for {
		if err := stream.Send(answer); err != nil {
			return err
		}
		select {
		case e, ok := <-watch.Events:
			if !ok {
				return connectError(watch.Err())
			}
			answer = &filesystemv1.WatchDirResponse{Event: &filesystemv1.WatchDirResponse_Filesystem{Filesystem: eventOf(e)}}
		case <-ping.C:
			answer = &filesystemv1.WatchDirResponse{Event: &filesystemv1.WatchDirResponse_Keepalive{Keepalive: &filesystemv1.WatchDirResponse_KeepAlive{}}}
		case <-ctx.Done():
			return connectError(ctx.Err())
		case <-f.done:
			return connectError(fault.New(fault.Unavailable, "the sandbox is shutting down"))
		}
	}
}

func eventOf(e files.Event) *filesystemv1.FilesystemEvent {
	event := &filesystemv1.FilesystemEvent{Name: e.Name, Type: filesystemv1.EventType(e.Type)}
	if e.Entry != nil {
		event.Entry = entryOf(*e.Entry)
	}
	return event
}

func (f *filesystem) CreateWatcher(_ context.Context, req *connect.Request[filesystemv1.CreateWatcherRequest]) (*connect.Response[filesystemv1.CreateWatcherResponse], error) {
	m := req.Msg
	watch, err := f.watch(req.Header(), m.Path, files.WatchOptions{Recursive: m.Recursive, IncludeEntry: m.IncludeEntry, AllowNetwork: m.AllowNetworkMounts})
	if err != nil {
		return nil, connectError(err)
	}
	id := rand.Text()
	f.watchers.mu.Lock()
	defer f.watchers.mu.Unlock()
	f.watchers.open[id] = &pollWatcher{watch: watch, idle: time.AfterFunc(pollIdle, func() { f.forget(id) })}
	return one(&filesystemv1.CreateWatcherResponse{WatcherId: id}, nil)
}

func (f *filesystem) GetWatcherEvents(_ context.Context, req *connect.Request[filesystemv1.GetWatcherEventsRequest]) (*connect.Response[filesystemv1.GetWatcherEventsResponse], error) {
	f.watchers.mu.Lock()
	w := f.watchers.open[req.Msg.WatcherId]
	f.watchers.mu.Unlock()
	if w == nil {
		return nil, connectError(fault.New(fault.NotFound, "watcher %q does not exist", req.Msg.WatcherId))
	}
	w.idle.Reset(pollIdle)
	answer := &filesystemv1.GetWatcherEventsResponse{}
	for {
		select {
		case e, ok := <-w.watch.Events:
			if !ok && len(answer.Events) == 0 {
				return one(answer, w.watch.Err())
			}
			if !ok {
				// The next call tells why nothing follows.
				return one(answer, nil)
			}
			answer.Events = append(answer.Events, eventOf(e))
			continue
		default:
		}
		return one(answer, nil)
	}
}

func (f *filesystem) RemoveWatcher(_ context.Context, req *connect.Request[filesystemv1.RemoveWatcherRequest]) (*connect.Response[filesystemv1.RemoveWatcherResponse], error) {
	if !f.forget(req.Msg.WatcherId) {
		return nil, connectError(fault.New(fault.NotFound, "watcher %q does not exist", req.Msg.WatcherId))
	}
	return one(&filesystemv1.RemoveWatcherResponse{}, nil)
}

func (f *filesystem) forget(id string) bool {
	f.watchers.mu.Lock()
	w := f.watchers.open[id]
	delete(f.watchers.open, id)
	f.watchers.mu.Unlock()
	if w == nil {
		return false
	}
	w.idle.Stop()
	f.unwatch(w.watch)
	return true
}
