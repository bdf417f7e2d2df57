package serve

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	gopath "path"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// maxKernelFileBytes bounds what is read of a file of procfs or sysfs, whose sizes say nothing.
const maxKernelFileBytes = 4 << 20

// download answers GET and HEAD /files?path=&username=.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	file, st, err := s.openAsked(r)
	if err != nil {
		httpError(w, err)
		return
	}
	defer func() { _ = file.Close() }()
	encoding := chooseEncoding(r.Header.Get("Accept-Encoding"))
	if encoding == "" {
		writeError(w, http.StatusNotAcceptable, "only identity and gzip are available")
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Vary", "Accept-Encoding")
	if madeByKernel(file) {
		sendKernelFile(w, file)
		return
	}
	tag := fmt.Sprintf("%x-%x-%x", st.Mtim.Nano(), st.Size, st.Ino)
	modified := time.Unix(st.Mtim.Sec, st.Mtim.Nsec)
	if encoding == "gzip" && r.Header.Get("Range") == "" {
		h.Set("Etag", `"`+tag+`-gzip"`)
		h.Set("Content-Encoding", "gzip")
		// Only the conditions are wanted of it: an empty content sends no bytes of its own.
		conditional := &conditions{ResponseWriter: w}
		http.ServeContent(conditional, r, "", modified, &emptyContent{})
		if conditional.status != http.StatusOK || r.Method == http.MethodHead {
			return
		}
		zip := gzip.NewWriter(w)
		if _, err := io.Copy(zip, io.LimitReader(file, st.Size)); err == nil {
			_ = zip.Close()
		}
		return
	}
	h.Set("Etag", `"`+tag+`"`)
	http.ServeContent(w, r, "", modified, file)
}

func (s *Server) openAsked(r *http.Request) (*os.File, *unix.Stat_t, error) {
	name, _, err := s.asked(r)
	if err != nil {
		return nil, nil, err
	}
	place, err := path.Find(name, true)
	if err != nil {
		return nil, nil, err
	}
	defer place.Close()
	file, st, err := path.OpenRegularAt(place, name)
	if err != nil {
		return nil, nil, err
	}
	if base := gopath.Base(place.Full); (base == "mem" || base == "kcore" || base == "kmsg" || base == "pagemap") && madeByKernel(file) {
		_ = file.Close()
		return nil, nil, fault.New(fault.Invalid, "%s: is not a regular file", name)
	}
	return file, st, nil
}

func userOf(r *http.Request) string {
	if name := r.URL.Query().Get("username"); name != "" {
		return name
	}
	return basicUser(r.Header)
}

func madeByKernel(file *os.File) bool { return path.MadeByKernel(int(file.Fd())) }

func sendKernelFile(w http.ResponseWriter, file *os.File) {
	raw, err := file.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetNonblock(int(fd), true) })
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKernelFileBytes+1))
	switch {
	case len(text) > maxKernelFileBytes:
		httpError(w, fault.Exceeds("kernel-file-bytes", maxKernelFileBytes))
	case err != nil:
		httpError(w, fault.New(fault.Invalid, "the kernel refuses to read this file: %s", errors.Unwrap(err)))
	default:
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		_, _ = w.Write(text)
	}
}

type conditions struct {
	http.ResponseWriter
	status int
}

func (c *conditions) WriteHeader(status int) {
	c.status = status
	c.Header().Del("Content-Length")
	c.Header().Del("Accept-Ranges")
	c.ResponseWriter.WriteHeader(status)
}

type emptyContent struct{}

func (*emptyContent) Read([]byte) (int, error)       { return 0, io.EOF }
func (*emptyContent) Seek(int64, int) (int64, error) { return 0, nil }
