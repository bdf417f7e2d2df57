// Command broken-runtime is an OCI runtime of the attacks in test/security: it takes controls out of a sandbox's
// configuration and becomes the real runtime. Which runtime and which changes stand in a file beside it, its own path
// and `.json`. No server starts it: it is built for one run, and its path is that of the runtime.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

type settings struct {
	Runtime string `json:"runtime"`
	// Patch is as in RFC 7386. A name that ends with + appends to a list; one that ends with * changes the mounts of a list
	// by their destinations.
	Patch map[string]any `json:"patch"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "broken-runtime:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	var set settings
	if err := readJSON(own+".json", &set); err != nil {
		return err
	}
	if at := slices.Index(args, "--bundle"); at >= 0 && slices.Contains(args, "run") {
		config := filepath.Join(args[at+1], "config.json")
		var spec map[string]any
		if err := readJSON(config, &spec); err != nil {
			return err
		}
		merge(spec, set.Patch)
		data, err := json.Marshal(spec)
		if err != nil {
			return err
		}
		if err := os.WriteFile(config, data, 0o600); err != nil {
			return err
		}
	}
	return syscall.Exec(set.Runtime, append([]string{set.Runtime}, args...), os.Environ())
}

func readJSON(path string, value any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, value)
}

func merge(into, patch map[string]any) {
	for name, value := range patch {
		if list, ok := strings.CutSuffix(name, "+"); ok {
			old, _ := into[list].([]any)
			more, _ := value.([]any)
			into[list] = append(old, more...)
			continue
		}
		inner, isObject := value.(map[string]any)
		if list, ok := strings.CutSuffix(name, "*"); ok {
			old, _ := into[list].([]any)
			into[list] = mergeMounts(old, inner)
			continue
		}
		old, wasObject := into[name].(map[string]any)
		switch {
		case value == nil:
			delete(into, name)
		case isObject && wasObject:
			merge(old, inner)
		default:
			into[name] = value
		}
	}
}

func mergeMounts(mounts []any, patch map[string]any) []any {
	var kept []any
	for _, one := range mounts {
		mount, _ := one.(map[string]any)
		destination, _ := mount["destination"].(string)
		change, named := patch[destination]
		if inner, ok := change.(map[string]any); ok {
			merge(mount, inner)
		} else if named {
			continue
		}
		kept = append(kept, mount)
	}
	return kept
}
