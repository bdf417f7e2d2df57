package serve

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"time"

	"stacyvm/native/internal/fault"
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
	Timestamp      *time.Time        `json:"timestamp"`
	AccessToken    string            `json:"accessToken"`
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
	now := s.table.Defaults()
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
	s.table.SetDefaults(now)
	return nil
}
