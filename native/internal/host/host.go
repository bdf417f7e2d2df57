// Package host does what the server itself cannot: mounts, namespaces, descriptors, cgroups. Everything it makes is
// below one data root or ends with the sandbox's own processes.
package host

import (
	"os"
	"path/filepath"
	"sync/atomic"
)

// Options of a host, given when the program starts, never by a request.
type Options struct {
	DataRoot    string
	ImagesRoot  string   // image trees may lie here or in the data root
	AgentPath   string   // static binary that becomes a sandbox's first process
	RuntimePath string   // runc or a program with its command line
	RuntimeArgs []string // before the runtime's verb
	PRootPath   string   // what translates paths for sandboxes of that provider
	Failpoint   Failpoint
}

// Host carries out verbs. Safe for concurrent use.
type Host struct {
	options   Options
	root      dataRoot
	cgroups   cgroups
	disks     *diskMaker
	failpoint Failpoint
	kind      atomic.Pointer[runtimeKind]
	endings   endings
	hidden    atomic.Pointer[string]
	walled    atomic.Bool // this program has put up the egress gateway's wall
}

// New checks the paths and makes what is missing below the data root.
func New(options Options) (*Host, error) {
	root, err := openDataRoot(options.DataRoot)
	if err != nil {
		return nil, err
	}
	for name, path := range map[string]string{"images": options.ImagesRoot, "agent": options.AgentPath, "runtime": options.RuntimePath, "proot": options.PRootPath} {
		if path != "" && (!filepath.IsAbs(path) || filepath.Clean(path) != path) {
			return nil, fail(codeInvalid, "--%s %q must be a clean absolute path", name, path)
		}
	}
	found, err := findCgroups()
	if err != nil {
		return nil, err
	}
	return &Host{
		options:   options,
		root:      root,
		cgroups:   found,
		failpoint: options.Failpoint,
		disks:     &diskMaker{root: root},
	}, nil
}

func (h *Host) checkTree(path string) error {
	if !below(h.options.DataRoot, path) && (h.options.ImagesRoot == "" || !below(h.options.ImagesRoot, path)) {
		return fail(codeInvalid, "rootfs_path %q is outside the data and image directories", path)
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil || resolved != path {
		return fail(codeInvalid, "rootfs_path %q does not exist or leads through a symlink", path)
	}
	info, err := os.Lstat(path)
	if err != nil || !info.IsDir() {
		return fail(codeInvalid, "rootfs_path %q is not a directory", path)
	}
	return nil
}
