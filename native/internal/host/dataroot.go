package host

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what sun_path holds without its terminating zero.
const maxSocketPath = 107

// Mount points below mounts(). An overlay is made in there and names its layers so: its options can be read inside.
const (
	lowerName      = "lower"
	diskName       = "disk"
	agentName      = "agent"
	rootName       = "root"
	doorName       = "door"
	egressDoorName = "egress"
)

// What lies in a PRoot sandbox's tree.
const (
	treeRootName   = "root"   // the copy of the image
	treeLoaderName = "loader" // what PRoot starts programs with
	treeAgentName  = "agent"
)

const socketName = "agent.sock"

var sandboxIDPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}$`)

// dataRoot names every path this program touches; all of them are below one directory.
type dataRoot struct{ path string }

func (d dataRoot) runs() string                { return filepath.Join(d.path, "run") }
func (d dataRoot) slots() string               { return filepath.Join(d.path, "slots") }
func (d dataRoot) disks() string               { return filepath.Join(d.path, "disks") }
func (d dataRoot) runtimeState() string        { return filepath.Join(d.path, "runtime") }
func (d dataRoot) mounts() string              { return filepath.Join(d.path, "mnt") }
func (d dataRoot) mountLower() string          { return filepath.Join(d.mounts(), lowerName) }
func (d dataRoot) mountDisk() string           { return filepath.Join(d.mounts(), diskName) }
func (d dataRoot) mountAgent() string          { return filepath.Join(d.mounts(), agentName) }
func (d dataRoot) mountRoot() string           { return filepath.Join(d.mounts(), rootName) }
func (d dataRoot) mountDoor() string           { return filepath.Join(d.mounts(), doorName) }
func (d dataRoot) mountEgress() string         { return filepath.Join(d.mounts(), egressDoorName) }
func (d dataRoot) trees() string               { return filepath.Join(d.path, "trees") }
func (d dataRoot) tree(id string) string       { return filepath.Join(d.trees(), id) }
func (d dataRoot) sandbox(id string) string    { return filepath.Join(d.runs(), id) }
func (d dataRoot) in(id, name string) string   { return filepath.Join(d.runs(), id, name) }
func (d dataRoot) socket(id string) string     { return d.in(id, socketName) }
func (d dataRoot) egressDoors() string         { return filepath.Join(d.path, "egress") }
func (d dataRoot) egress(id string) string     { return filepath.Join(d.egressDoors(), id+".sock") }
func (d dataRoot) egressDoor(id string) string { return filepath.Join(d.egressDoors(), id) }
func (d dataRoot) door(id string) string       { return d.in(id, doorName) }

// runtimeOf lists what a runtime keeps of a sandbox: runc and crun a directory, runsc files.
func (d dataRoot) runtimeOf(id string) []string {
	var kept []string
	for _, name := range []string{id, id + "_sandbox:" + id + ".state", id + "_sandbox:" + id + ".lock"} {
		if path := filepath.Join(d.runtimeState(), name); exists(path) {
			kept = append(kept, path)
		}
	}
	return kept
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// openDataRoot makes what is missing below path and checks that a sandbox's mapped user can reach the mount points.
func openDataRoot(path string) (dataRoot, error) {
	d := dataRoot{path: path}
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || strings.ContainsAny(path, ":,\\\n\"") {
		return d, fail(codeInvalid, "data root %q must be a clean absolute path without : , \\ or quotes", path)
	}
	if longest := d.socket("sb-0123456789abcdef"); len(longest) > maxSocketPath {
		return d, fail(codeInvalid, "data root %q is too long: socket paths below it exceed %d bytes", path, maxSocketPath)
	}
	for _, dir := range []struct {
		path string
		mode os.FileMode
	}{
		{d.path, 0o711},
		{d.runs(), 0o700},
		{d.slots(), 0o700},
		{d.disks(), 0o700},
		{d.runtimeState(), 0o700},
		{d.mounts(), 0o711},
		{d.mountLower(), 0o711},
		{d.mountDisk(), 0o711},
		{d.mountAgent(), 0o711},
		{d.mountRoot(), 0o711},
		{d.mountDoor(), 0o711},
		{d.mountEgress(), 0o711},
		{d.trees(), 0o711},
		{d.egressDoors(), 0o710},
	} {
		if err := os.MkdirAll(dir.path, dir.mode); err != nil {
			return d, fail(codeUnavailable, "make %s: %v", dir.path, err)
		}
	}
	if os.Getuid() == 0 {
		if err := os.Chown(d.egressDoors(), 0, d.gatewayUser()); err != nil {
			return d, fail(codeUnavailable, "give %s to the egress gateway: %v", d.egressDoors(), err)
		}
	}
	return d, nil
}

// untraversable lists the directories above the mount points that other users cannot pass.
func (d dataRoot) untraversable() []string {
	var blocked []string
	for dir := d.mounts(); ; dir = filepath.Dir(dir) {
		var st unix.Stat_t
		if unix.Stat(dir, &st) == nil && st.Mode&0o001 == 0 {
			blocked = append(blocked, dir)
		}
		if dir == "/" {
			return blocked
		}
	}
}

func checkSandboxID(id string) error {
	if !sandboxIDPattern.MatchString(id) {
		return fail(codeInvalid, "sandbox id %q: lower-case letters, digits and dashes, at most 41", id)
	}
	return nil
}

// below says whether path is clean, absolute and inside root.
func below(root, path string) bool {
	return filepath.IsAbs(path) && filepath.Clean(path) == path && strings.HasPrefix(path, root+"/")
}
