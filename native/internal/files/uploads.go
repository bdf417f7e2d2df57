package files

import (
	"crypto/sha256"
	"hash"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// UnknownSize is that of an upload which didn't say how much will come.
const UnknownSize = -1

// Uploads are files that arrive in pieces, under ids that the caller chose.
type Uploads struct {
	files *Files
	mu    sync.Mutex
	// open has nil for an id that is being begun.
	open map[string]*upload
	// committed are the last ones, oldest first: whoever lost the answer asks again.
	committed []committed
}

type committed struct {
	id, sum string
	size    int64
}

// upload is one file on its way. Its partial file stands in the destination's directory, so that a rename finishes it.
type upload struct {
	write     Write
	size      int64
	place     *path.Place
	temporary string
	file      *os.File

	// busy is held by whoever appends, commits or removes; nobody waits for it.
	busy sync.Mutex
	sum  hash.Hash
	gone bool

	// state guards what others look at meanwhile.
	state   sync.Mutex
	offset  int64
	expires time.Time
	timer   *time.Timer
}

// UploadState is how far an upload has come.
type UploadState struct {
	Offset int64
	// Size is UnknownSize where none was announced.
	Size    int64
	Expires time.Time
}

// NewUploads makes an empty table.
func NewUploads(f *Files) *Uploads { return &Uploads{files: f, open: map[string]*upload{}} }

// Begin makes the partial file, and the destination's parents.
func (u *Uploads) Begin(id string, w Write, size int64) (UploadState, error) {
	if n := len(w.Path); n > 0 && w.Path[n-1] == '/' {
		return UploadState{}, fault.New(fault.Invalid, "%s: is a directory", w.Path)
	}
	if err := u.reserve(id); err != nil {
		return UploadState{}, err
	}
	up, err := u.make(w, size)
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		delete(u.open, id)
		return UploadState{}, err
	}
	u.open[id] = up
	up.timer = time.AfterFunc(u.idle(), func() { u.expire(id, up) })
	return up.touch(u.idle()), nil
}

func (u *Uploads) reserve(id string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, taken := u.open[id]; taken {
		return fault.New(fault.Exists, "upload %q exists already", id)
	}
	if len(u.open) >= u.files.Limits.Uploads {
		return fault.Exceeds("uploads", u.files.Limits.Uploads)
	}
	u.open[id] = nil
	u.committed = slices.DeleteFunc(u.committed, func(c committed) bool { return c.id == id })
	return nil
}

func (u *Uploads) make(w Write, size int64) (*upload, error) {
	if err := u.files.makeParents(w.Path, w.Owner); err != nil {
		return nil, err
	}
	place, _, err := writable(w.Path)
	if err != nil {
		return nil, err
	}
	up := &upload{write: w, size: size, place: place, temporary: temporaryName(), sum: sha256.New()}
	up.file, err = openAt(place.Fd(), up.temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		place.Close()
		return nil, fault.At(w.Path, err)
	}
	return up, nil
}

// Get tells how far an upload has come.
func (u *Uploads) Get(id string) (UploadState, error) {
	up, err := u.find(id)
	if err != nil {
		return UploadState{}, err
	}
	return up.now(), nil
}

// Abort removes an upload and its bytes. One that is being appended to is refused with Precondition.
func (u *Uploads) Abort(id string) error {
	up, err := u.take(id)
	if err != nil {
		return err
	}
	defer up.busy.Unlock()
	u.remove(id, up)
	return nil
}

func (u *Uploads) find(id string) (*upload, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if up := u.open[id]; up != nil {
		return up, nil
	}
	return nil, noUpload(id)
}

// take finds an upload for work on it alone.
func (u *Uploads) take(id string) (*upload, error) {
	up, err := u.find(id)
	if err != nil {
		return nil, err
	}
	if !up.busy.TryLock() {
		return nil, &UploadConflict{up.now(), "another request is at work on the upload"}
	}
	if up.gone {
		up.busy.Unlock()
		return nil, noUpload(id)
	}
	return up, nil
}

// remember keeps what a commit answered.
func (u *Uploads) remember(c committed) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.committed = append(u.committed, c)
	if over := len(u.committed) - u.files.Limits.CommittedUploads; over > 0 {
		u.committed = slices.Delete(u.committed, 0, over)
	}
}

// recall finds what a commit answered, where it is still known.
func (u *Uploads) recall(id string) (committed, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	at := slices.IndexFunc(u.committed, func(c committed) bool { return c.id == id })
	if at < 0 {
		return committed{}, false
	}
	return u.committed[at], true
}

func noUpload(id string) error {
	return fault.New(fault.NotFound, "upload %q does not exist; it may have expired", id)
}

// expire comes with the timer: an upload that somebody is at work on, or was since, is looked at again later.
func (u *Uploads) expire(id string, up *upload) {
	if now, err := u.find(id); err != nil || now != up {
		return
	}
	if !up.busy.TryLock() {
		up.timer.Reset(u.idle())
		return
	}
	defer up.busy.Unlock()
	if left := time.Until(up.now().Expires); left > 0 && !up.gone {
		up.timer.Reset(left)
		return
	}
	u.remove(id, up)
}

// remove frees everything of an upload; the caller is at work on it.
func (u *Uploads) remove(id string, up *upload) {
	if up.gone {
		return
	}
	up.gone = true
	up.timer.Stop()
	if up.holdsName() {
		_ = unix.Unlinkat(up.place.Fd(), up.temporary, 0)
	}
	_ = up.file.Close()
	up.place.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.open, id)
}

func (u *Uploads) idle() time.Duration {
	return time.Duration(u.files.Limits.UploadIdleMs) * time.Millisecond
}
