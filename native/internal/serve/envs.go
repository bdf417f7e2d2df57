package serve

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"os"
	"time"

	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/files"
	"stacyvm/native/internal/path"
	"stacyvm/native/internal/process"
	"stacyvm/native/internal/usage"
)

func (s *Server) envs(w http.ResponseWriter, _ *http.Request) {
	env := map[string]string{"PATH": process.SearchPath}
	maps.Copy(env, s.table.Defaults().Env)
	writeJSON(w, http.StatusOK, env)
}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	u := usage.Now(s.table.Defaults().Cwd)
	writeJSON(w, http.StatusOK, map[string]any{
		"ts": time.Now().Unix(), "cpu_us": u.CPUUs, "mem_used": u.MemoryBytes, "mem_total": u.MemoryLimitBytes,
		"processes": u.Processes, "disk_used": u.DiskUsedBytes, "disk_total": u.DiskTotalBytes,
	})
}

// settings is the body of POST /init. The access token is accepted and unused: the listener itself is the credential.
// So is the timestamp: a container shares the host's clock, and an agent that runs as the host's root must not set it.
type settings struct {
	EnvVars        map[string]string `json:"envVars"`
	DefaultUser    string            `json:"defaultUser"`
	DefaultWorkdir string            `json:"defaultWorkdir"`
	// PrepareWorkdir makes the working directory where it is missing, for the default user.
	PrepareWorkdir bool       `json:"prepareWorkdir"`
	Timestamp      *time.Time `json:"timestamp"`
	AccessToken    string     `json:"accessToken"`
}

// initialise answers POST /init: what is given replaces what held before.
func (s *Server) initialise(w http.ResponseWriter, r *http.Request) {
	var given settings
	body := http.MaxBytesReader(w, r.Body, int64(s.limits.InitBytes))
	if err := json.NewDecoder(body).Decode(&given); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			writeError(w, http.StatusRequestEntityTooLarge, fault.Exceeds("init-bytes", s.limits.InitBytes).Error())
			return
		}
		httpError(w, fault.New(fault.Invalid, "body must be a JSON object: %s", err))
		return
	}
	if err := s.apply(given); err != nil {
		httpError(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) apply(given settings) error {
	before := s.table.Defaults()
	now := before
	if given.EnvVars != nil {
		if err := process.CheckEnv(given.EnvVars, &s.limits); err != nil {
			return err
		}
		now.Env = given.EnvVars
	}
	if given.DefaultUser != "" {
		if _, err := s.accounts.Resolve(given.DefaultUser); err != nil {
			return err
		}
		now.User = given.DefaultUser
	}
	if given.DefaultWorkdir != "" {
		if err := path.Check(given.DefaultWorkdir); err != nil {
			return err
		}
		now.Cwd = given.DefaultWorkdir
	}
	if given.PrepareWorkdir {
		if err := s.prepareWorkdir(now, before.Cwd); err != nil {
			return err
		}
	}
	s.table.SetDefaults(now)
	return nil
}

// prepareWorkdir makes the working directory for the user, and gives the usual one to that user. Any other that is there
// already stays whose it is.
func (s *Server) prepareWorkdir(now process.Defaults, usual string) error {
	_, owner, err := s.identity(now.User)
	if err != nil {
		return err
	}
	made, err := s.files.Mkdir(files.Mkdir{Path: now.Cwd, Parents: true, Owner: owner})
	if err == nil && !made && now.Cwd == usual && owner != nil && os.Geteuid() == 0 {
		err = s.files.Give(now.Cwd, *owner)
	}
	if err != nil {
		return fault.New(fault.KindOf(err), "workdir %s", err)
	}
	return nil
}
