package serve

import (
	"net/http"
	"os"
	gopath "path"
	"strconv"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/archive"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// What stands behind an archive: how much of the folder it lacks, or why it has no end.
const (
	skippedTrailer = "X-Archive-Skipped"
	failedTrailer  = "X-Archive-Failed"
)

// packArchive answers GET /files/archive?path=&compression=&username= with a tar of a folder, or of one file.
func (s *Server) packArchive(w http.ResponseWriter, r *http.Request) {
	compression, err := archive.ParseCompression(r.URL.Query().Get("compression"))
	if err != nil {
		httpError(w, err)
		return
	}
	file, name, err := s.openPacked(r)
	if err != nil {
		httpError(w, err)
		return
	}
	defer func() { _ = file.Close() }()
	h := w.Header()
	h.Set("Content-Type", compression.MediaType())
	h.Set("Trailer", skippedTrailer+", "+failedTrailer)
	out, err := compression.Writer(w)
	if err != nil {
		httpError(w, err)
		return
	}
	pack := archive.Pack{Limits: s.limits}
	var packed archive.Packed
	if name == "" {
		packed, err = pack.Directory(file, out)
	} else {
		packed, err = pack.File(file, name, out)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		h.Set(failedTrailer, strconv.QuoteToASCII(err.Error()))
		return
	}
	h.Set(skippedTrailer, strconv.Itoa(packed.Skipped))
}

// openPacked opens what is asked for; a file has a name.
func (s *Server) openPacked(r *http.Request) (file *os.File, name string, err error) {
	full, _, err := s.asked(r)
	if err != nil {
		return nil, "", err
	}
	place, err := path.Find(full, true)
	if err != nil {
		return nil, "", err
	}
	defer place.Close()
	st, err := path.StatAt(place)
	if err != nil {
		return nil, "", fault.At(full, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		file, _, err = path.OpenDir(place.Full)
	} else {
		file, _, err = path.OpenRegularAt(place, full)
		name = gopath.Base(place.Full)
	}
	if err == nil && madeByKernel(file) {
		_ = file.Close()
		return nil, "", fault.New(fault.Invalid, "%s: what the kernel makes up can't be archived", full)
	}
	return file, name, err
}

// unpackArchive answers POST /files/archive?path=&compression=&username=: the folder is made where it is missing.
func (s *Server) unpackArchive(w http.ResponseWriter, r *http.Request) {
	dir, unpack, err := s.unpackInto(r)
	if err != nil {
		httpError(w, err)
		return
	}
	defer func() { _ = dir.Close() }()
	unpack.Root = dir
	compression, err := archive.ParseCompression(r.URL.Query().Get("compression"))
	if err != nil {
		httpError(w, err)
		return
	}
	done, err := unpack.Decompress(r.Body, compression)
	if err == nil {
		writeJSON(w, http.StatusOK, done)
		return
	}
	status := onWire[fault.KindOf(err)].status
	if fault.KindOf(err) == fault.Invalid {
		// The request made sense, its body didn't.
		status = http.StatusUnprocessableEntity
	}
	writeJSON(w, status, map[string]any{"code": status, "message": err.Error(), "entries": done.Entries})
}

func (s *Server) unpackInto(r *http.Request) (*os.File, archive.Unpack, error) {
	full, owner, err := s.asked(r)
	if err != nil {
		return nil, archive.Unpack{}, err
	}
	full, made, err := s.files.EnsureDir(full, owner)
	if err != nil {
		return nil, archive.Unpack{}, err
	}
	dir, _, err := path.OpenDir(full)
	return dir, archive.Unpack{Limits: s.limits, Made: made, Owner: owner}, err
}
