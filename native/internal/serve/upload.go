package serve

import (
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"stacyvm/native/internal/account"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/files"
)

type uploaded struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Type string `json:"type"`
}

// upload answers POST /files?path=&mode=&username=.
func (s *Server) upload(w http.ResponseWriter, r *http.Request) {
	who, owner, err := s.identity(userOf(r))
	if err != nil {
		httpError(w, err)
		return
	}
	body, err := decoded(r)
	if err != nil {
		httpError(w, err)
		return
	}
	write := files.Write{Owner: owner, Metadata: metadataOf(r.Header), Body: body}
	if write.Mode, err = modeOf(r); err != nil {
		httpError(w, err)
		return
	}
	var written []uploaded
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && kind == "multipart/form-data" {
		written, err = s.uploadParts(r, who, write, parameters["boundary"])
	} else {
		written, err = s.uploadOne(r, who, write)
	}
	if err != nil {
		httpError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, written)
}

func (s *Server) uploadOne(r *http.Request, who account.Identity, write files.Write) ([]uploaded, error) {
	asked := r.URL.Query().Get("path")
	if asked == "" {
		return nil, fault.New(fault.Invalid, "path is missing")
	}
	name, err := absolute(asked, who)
	if err != nil {
		return nil, err
	}
	write.Path = name
	entry, err := s.files.Write(write)
	if err != nil {
		return nil, bodyError(err)
	}
	return []uploaded{{entry.Name, entry.Path, "file"}}, nil
}

// bodyError tells what the sender did wrong from what failed here.
func bodyError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) {
		return fault.New(fault.Invalid, "the body is cut short or malformed: %s", err)
	}
	return err
}

func modeOf(r *http.Request) (*uint32, error) {
	asked := r.URL.Query().Get("mode")
	if asked == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(asked, "0o"), 8, 32)
	if err != nil || n > 0o7777 {
		return nil, fault.New(fault.Invalid, "mode must be octal, from 0 to 7777: %q", asked)
	}
	mode := uint32(n)
	return &mode, nil
}

func decoded(r *http.Request) (io.Reader, error) {
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "", "identity":
		return r.Body, nil
	case "gzip", "x-gzip":
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the body is not gzip: %s", err)
		}
		return zip, nil
	}
	return nil, fault.New(fault.Invalid, "Content-Encoding must be identity or gzip")
}

// metadataOf collects the X-Metadata-<key> headers; keys are lower-cased, as header names have no case.
func metadataOf(h http.Header) map[string]string {
	var found map[string]string
	for name, values := range h {
		key, ours := strings.CutPrefix(strings.ToLower(name), "x-metadata-")
		if ours && key != "" {
			if found == nil {
				found = map[string]string{}
			}
			found[key] = values[0]
		}
	}
	return found
}
