package process

import (
	"maps"
	"slices"

	"stacyvm/native/internal/account"
)

// SearchPath is the PATH of a process that is given none.
const SearchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environ builds a process's variables; later layers win. Nothing of the agent's own environment is in it.
func environ(user account.User, cwd string, pty bool, layers ...map[string]string) map[string]string {
	env := map[string]string{
		"PATH": SearchPath, "HOME": user.Home, "USER": user.Name, "LOGNAME": user.Name, "LANG": "C.UTF-8", "PWD": cwd,
	}
	if user.Home == "" {
		env["HOME"] = "/"
	}
	if user.Shell != "" && executable(user.Shell) == nil {
		env["SHELL"] = user.Shell
	}
	if pty {
		env["TERM"] = "xterm-256color"
	}
	for _, layer := range layers {
		maps.Copy(env, layer)
	}
	return env
}

func flatten(env map[string]string) []string {
	flat := make([]string, 0, len(env))
	for name, value := range env {
		flat = append(flat, name+"="+value)
	}
	slices.Sort(flat)
	return flat
}
