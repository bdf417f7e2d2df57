package files

import (
	"errors"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// EventType of a change. The numbers are those of the wire.
type EventType int

const (
	Created EventType = 1
	Written EventType = 2
	Removed EventType = 3
	Renamed EventType = 4
	Chmoded EventType = 5
)

// Event is a change below a watched directory. Name is relative to it.
type Event struct {
	Name  string
	Type  EventType
	Entry *Entry
}

// Watch reports the changes below one directory until it is closed.
type Watch struct {
	// Events is closed at the end; Err then says why.
	Events chan Event

	files     *Files
	root      string
	recursive bool
	entries   bool
	notify    *fsnotify.Watcher
	// dirs are the directories that are watched now.
	dirs map[string]bool

	mu  sync.Mutex
	err error
}

// networkMagic lists the file systems on which changes made elsewhere are never told.
var networkMagic = map[int64]bool{
	unix.NFS_SUPER_MAGIC: true, unix.SMB_SUPER_MAGIC: true, unix.CIFS_SUPER_MAGIC: true, unix.SMB2_SUPER_MAGIC: true,
	unix.FUSE_SUPER_MAGIC: true, unix.V9FS_MAGIC: true, unix.CEPH_SUPER_MAGIC: true, unix.AFS_SUPER_MAGIC: true,
}

// WatchOptions say how to watch.
type WatchOptions struct {
	Recursive    bool
	IncludeEntry bool
	AllowNetwork bool
}

// Watch begins to watch a directory; it is complete when Watch returns.
func (f *Files) Watch(name string, o WatchOptions) (*Watch, error) {
	dir, full, err := path.OpenDir(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &fs); err != nil {
		return nil, fault.At(name, err)
	}
	if networkMagic[fs.Type] && !o.AllowNetwork {
		return nil, fault.New(fault.Invalid, "%s: is on a network mount, where changes are not told reliably", name)
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fault.At(name, err)
	}
	w := &Watch{
		Events: make(chan Event, f.Limits.WatchEvents), files: f, root: full, recursive: o.Recursive, entries: o.IncludeEntry,
		notify: notify, dirs: map[string]bool{},
	}
	if err := w.add(full); err != nil {
		_ = notify.Close()
		return nil, fault.At(name, err)
	}
	go w.run()
	return w, nil
}

// Close ends the watch.
func (w *Watch) Close() { _ = w.notify.Close() }

// Err is why Events was closed; nil after Close.
func (w *Watch) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// add watches a directory and, when recursive, those below it.
func (w *Watch) add(full string) error {
	if !w.dirs[full] && len(w.dirs) >= w.files.Limits.WatchDirs {
		return fault.Exceeds("watch-dirs", w.files.Limits.WatchDirs)
	}
	if err := w.notify.Add(full); err != nil {
		return err
	}
	w.dirs[full] = true
	if !w.recursive {
		return nil
	}
	dir, _, err := path.OpenDir(full)
	if err != nil {
		return nil
	}
	defer func() { _ = dir.Close() }()
	for {
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			if isDirectory(int(dir.Fd()), name) {
				if err := w.add(join(full, name)); fault.KindOf(err) == fault.Exhausted {
					return err
				}
			}
		}
		if err != nil || len(names) == 0 {
			return nil
		}
	}
}

// leave stops watching a directory that is gone from its name, and those below it. It comes before the directory's new
// name is entered: the same inode then is a new watch, which the end of the old one can't take along.
func (w *Watch) leave(full string) {
	if !w.dirs[full] {
		return
	}
	for dir := range w.dirs {
		if dir == full || strings.HasPrefix(dir, full+"/") {
			_ = w.notify.Remove(dir)
			delete(w.dirs, dir)
		}
	}
}

func isDirectory(dir int, name string) bool {
	var st unix.Stat_t
	return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

func (w *Watch) run() {
	defer close(w.Events)
	defer w.Close()
	for {
		select {
		case e, ok := <-w.notify.Events:
			if !ok {
				return
			}
			if err := w.tell(e); err != nil {
				w.fail(err)
				return
			}
		case err, ok := <-w.notify.Errors:
			if !ok {
				return
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				err = fault.New(fault.Exhausted, "changes came faster than they could be read: some are lost")
			}
			w.fail(err)
			return
		}
	}
}

func (w *Watch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
}

func (w *Watch) tell(e fsnotify.Event) error {
	if e.Name == w.root && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) {
		return fault.New(fault.NotFound, "%s: was removed or renamed", w.root)
	}
	name := strings.TrimPrefix(strings.TrimPrefix(e.Name, w.root), "/")
	for _, kind := range []struct {
		op   fsnotify.Op
		kind EventType
	}{
		{fsnotify.Create, Created}, {fsnotify.Write, Written}, {fsnotify.Remove, Removed}, {fsnotify.Rename, Renamed},
		{fsnotify.Chmod, Chmoded},
	} {
		if !e.Has(kind.op) {
			continue
		}
		event := Event{Name: text(name), Type: kind.kind}
		if kind.kind == Removed || kind.kind == Renamed {
			w.leave(e.Name)
		}
		var within []Entry
		if kind.kind == Created && w.recursive {
			var err error
			if within, err = w.enter(e.Name); err != nil {
				return err
			}
		}
		if w.entries {
			if entry, err := w.files.Stat(e.Name); err == nil {
				event.Entry = &entry
			}
		}
		if err := w.send(event); err != nil {
			return err
		}
		if err := w.sendFound(within); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watch) send(event Event) error {
	select {
	case w.Events <- event:
		return nil
	default:
		return fault.Exceeds("watch-events", w.files.Limits.WatchEvents)
	}
}

// enter watches a directory that has just appeared and gives what was in it before it was watched.
func (w *Watch) enter(full string) ([]Entry, error) {
	if !isDirectory(unix.AT_FDCWD, full) {
		return nil, nil
	}
	if err := w.add(full); fault.KindOf(err) == fault.Exhausted {
		return nil, err
	}
	entries, err := w.files.List(full, w.files.Limits.ListDepth)
	if err != nil {
		return nil, nil
	}
	return entries, nil
}

// sendFound tells what stood in a directory when it appeared.
func (w *Watch) sendFound(entries []Entry) error {
	for i := range entries {
		event := Event{Name: strings.TrimPrefix(entries[i].Path, w.root+"/"), Type: Created}
		if w.entries {
			event.Entry = &entries[i]
		}
		if err := w.send(event); err != nil {
			return err
		}
	}
	return nil
}
