package serve

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"stacyvm/native/internal/account"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/files"
)

// uploadParts writes every part named `file`. Where the query gives no path the part's filename is the path.
func (s *Server) uploadParts(r *http.Request, who account.Identity, write files.Write, boundary string) ([]uploaded, error) {
	if boundary == "" {
		return nil, fault.New(fault.Invalid, "multipart boundary is missing")
	}
	reader := multipart.NewReader(write.Body, boundary)
	asked := r.URL.Query().Get("path")
	written := []uploaded{}
	for parts := 1; ; parts++ {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fault.New(fault.Invalid, "multipart body is malformed: %s", err)
		}
		if parts > s.limits.MultipartParts {
			return nil, fault.Exceeds("multipart-parts", s.limits.MultipartParts)
		}
		if part.FormName() != "file" {
			continue
		}
		name := asked
		if name == "" {
			name = fileName(part)
		} else if len(written) > 0 {
			return nil, fault.New(fault.Invalid, "with path in the query there may be one part named file")
		}
		if name == "" {
			return nil, fault.New(fault.Invalid, "path is missing: neither in the query nor as the part's filename")
		}
		if write.Path, err = absolute(name, who); err != nil {
			return nil, err
		}
		write.Body = part
		entry, err := s.files.Write(write)
		if err != nil {
			return nil, bodyError(err)
		}
		written = append(written, uploaded{entry.Name, entry.Path, "file"})
	}
	if len(written) == 0 {
		return nil, fault.New(fault.Invalid, "the body has no part named file")
	}
	return written, nil
}

// fileName is the part's filename with its directories, which the standard accessor strips.
func fileName(part *multipart.Part) string {
	_, parameters, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil {
		return ""
	}
	return parameters["filename"]
}
