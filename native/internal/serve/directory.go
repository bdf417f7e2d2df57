package serve

import (
	"net/http"

	"stacyvm/native/internal/files"
)

// makeDirectory answers POST /files/directory?path=&mode=&parents=&username=.
func (s *Server) makeDirectory(w http.ResponseWriter, r *http.Request) {
	made, err := s.mkdir(r)
	if err != nil {
		httpError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"created": made})
}

func (s *Server) mkdir(r *http.Request) (bool, error) {
	name, owner, err := s.asked(r)
	if err != nil {
		return false, err
	}
	mode, err := modeOf(r)
	if err != nil {
		return false, err
	}
	return s.files.Mkdir(files.Mkdir{Path: name, Mode: mode, Parents: r.URL.Query().Get("parents") == "true", Owner: owner})
}
