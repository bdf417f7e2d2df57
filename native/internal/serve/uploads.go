package serve

import (
	"errors"
	"net/http"
	"strconv"

	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/files"
)

type uploadState struct {
	Offset int64 `json:"offset"`
	// Size is absent where none was announced.
	Size        *int64 `json:"size,omitempty"`
	ExpiresAtMs int64  `json:"expires_at_ms"`
}

// routeUploads is for files that arrive in pieces; every route takes ?id=.
func (s *Server) routeUploads(mux *http.ServeMux) {
	mux.HandleFunc("POST /uploads", s.beginUpload)
	mux.HandleFunc("PATCH /uploads", func(w http.ResponseWriter, r *http.Request) {
		offset, err := wholeNumber(r, "offset")
		var state files.UploadState
		if err == nil {
			state, err = s.uploads.Append(r.URL.Query().Get("id"), offset, r.Body)
		}
		answerUpload(w, http.StatusOK, state, bodyError(err))
	})
	mux.HandleFunc("GET /uploads", func(w http.ResponseWriter, r *http.Request) {
		state, err := s.uploads.Get(r.URL.Query().Get("id"))
		answerUpload(w, http.StatusOK, state, err)
	})
	mux.HandleFunc("DELETE /uploads", func(w http.ResponseWriter, r *http.Request) {
		answerUpload(w, http.StatusOK, files.UploadState{}, s.uploads.Abort(r.URL.Query().Get("id")))
	})
	mux.HandleFunc("POST /uploads/commit", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		size, sum, err := s.uploads.Commit(query.Get("id"), query.Get("sha256"))
		if err != nil {
			answerUpload(w, 0, files.UploadState{}, err)
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"size": size, "sha256": sum})
	})
}

// beginUpload answers POST /uploads?id=&path=&mode=&size=&username=.
func (s *Server) beginUpload(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	who, owner, err := s.identity(userOf(r))
	write := files.Write{Owner: owner}
	if err == nil {
		write.Path, err = absolute(query.Get("path"), who)
	}
	if err == nil {
		write.Mode, err = modeOf(r)
	}
	size := int64(files.UnknownSize)
	if err == nil && query.Has("size") {
		size, err = wholeNumber(r, "size")
	}
	if id := query.Get("id"); err == nil && (id == "" || !bound.IsID(id)) {
		err = fault.New(fault.Invalid, "id must be 1 to %d letters, digits and -", bound.IDBytes)
	}
	var state files.UploadState
	if err == nil {
		state, err = s.uploads.Begin(query.Get("id"), write, size)
	}
	answerUpload(w, http.StatusCreated, state, err)
}

func wholeNumber(r *http.Request, name string) (int64, error) {
	n, err := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0, fault.New(fault.Invalid, "%s must be a whole number from 0", name)
	}
	return n, nil
}

// answerUpload tells the state, or why not; a failure tells the offset too, where one is known.
func answerUpload(w http.ResponseWriter, status int, state files.UploadState, err error) {
	var conflict *files.UploadConflict
	switch {
	case err == nil:
		answer := uploadState{Offset: state.Offset, ExpiresAtMs: state.Expires.UnixMilli()}
		if state.Size != files.UnknownSize {
			answer.Size = &state.Size
		}
		writeJSON(w, status, answer)
	case errors.As(err, &conflict):
		writeJSON(w, http.StatusConflict, map[string]any{"message": err.Error(), "offset": conflict.State.Offset})
	case errors.Is(err, files.ErrChecksum):
		writeJSON(w, http.StatusUnprocessableEntity, map[string]any{"message": err.Error()})
	default:
		answer := map[string]any{"message": err.Error(), "offset": state.Offset}
		writeJSON(w, onWire[fault.KindOf(err)].status, answer)
	}
}
