package serve

import (
	"net/http"
	"strings"

	"stacyvm/native/internal/account"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/files"
	"stacyvm/native/internal/path"
)

// basicUser is the user that a request names by HTTP Basic with an empty password.
func basicUser(h http.Header) string {
	request := http.Request{Header: h}
	name, _, _ := request.BasicAuth()
	return name
}

// identity resolves whom a request acts for; owner is nil where files stay the agent's own.
func (s *Server) identity(name string) (account.Identity, *files.Owner, error) {
	if name == "" {
		name = s.table.Defaults().User
	}
	who, err := s.accounts.Resolve(name)
	if err != nil {
		return who, nil, err
	}
	if who.User.UID == 0 {
		return who, nil, nil
	}
	return who, &files.Owner{UID: who.User.UID, GID: who.User.GID}, nil
}

// asked is the absolute path that a request names, and who it is for.
func (s *Server) asked(r *http.Request) (full string, owner *files.Owner, err error) {
	who, owner, err := s.identity(userOf(r))
	if err != nil {
		return "", nil, err
	}
	name := r.URL.Query().Get("path")
	if name == "" {
		return "", nil, fault.New(fault.Invalid, "path is missing")
	}
	full, err = absolute(name, who)
	return full, owner, err
}

// absolute resolves a relative path against the user's home.
func absolute(name string, who account.Identity) (string, error) {
	if name == "" || strings.HasPrefix(name, "/") {
		return name, path.Check(name)
	}
	home := who.User.Home
	if !strings.HasPrefix(home, "/") {
		home = "/"
	}
	if rest, tilde := strings.CutPrefix(name, "~/"); tilde {
		name = rest
	} else if name == "~" {
		name = "."
	}
	full := strings.TrimRight(home, "/") + "/" + name
	return full, path.Check(full)
}
