package host

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/confine"
	"stacyvm/native/internal/netdevice"
)

// PRootInit is the argument with which this program becomes the first process of a PRoot sandbox.
const PRootInit = "proot-init"

// Descriptors of that first process. Listeners keep their places until the agent has them; there may be none for the egress
// gateway.
const (
	prootListener = 3 + iota
	prootProceed
	prootStatus
	prootLock
	prootEgress
)

const (
	// ownTreeMB bounds the small file system that holds PRoot's surroundings, not the sandbox's files.
	ownTreeMB = 16
	// agentInside is where the agent's program is seen.
	agentInside = "/dev/.stacyvm-agent"
)

// prootPlan is what the first process is told.
type prootPlan struct {
	ID          string `json:"id"`
	PRoot       string `json:"proot"`
	Tree        string `json:"tree"`
	Root        string `json:"root"` // mount point of its surroundings
	Hidden      bool   `json:"hidden"`
	HostNetwork bool   `json:"host_network"`
	Egress      bool   `json:"egress"`
	UID         int    `json:"uid"`
	FileMB      int    `json:"file_mb"`
	PidsMax     int    `json:"pids_max"`
	OpenFiles   uint64 `json:"open_files"`
}

// RunPRootInit confines itself and becomes PRoot. With a mount point alone it tries whether namespaces can be had.
func RunPRootInit(args []string) {
	// Capabilities, NoNewPrivs and Landlock belong to a thread; PRoot gets those of the thread that execs it.
	runtime.LockOSThread()
	var err error
	if len(args) == 1 && filepath.IsAbs(args[0]) {
		if err = buildMockTree(args[0], ownTreeMB, func(string) error { return nil }); err == nil {
			os.Exit(0)
		}
		fmt.Println(err)
		os.Exit(1)
	}
	for fd := prootListener; fd <= prootEgress; fd++ {
		unix.CloseOnExec(fd)
	}
	err = becomePRoot(args)
	_, _ = unix.Write(prootStatus, []byte(err.Error()))
	os.Exit(1)
}

func becomePRoot(args []string) error {
	var plan prootPlan
	if len(args) != 1 {
		return fmt.Errorf("wrong arguments")
	}
	if err := json.Unmarshal([]byte(args[0]), &plan); err != nil {
		return err
	}
	if n, err := unix.Read(prootProceed, make([]byte, 1)); n != 1 {
		return fmt.Errorf("withdrawn: %v", err)
	}
	tree := plan.Tree
	if plan.Hidden {
		if err := plan.hide(); err != nil {
			return err
		}
		tree = treeInside
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	unix.Umask(0o022)
	if err := dropCapabilities(nil); err != nil {
		return err
	}
	if err := confine.Paths(plan.allowed(tree)); err != nil {
		return err
	}
	if err := plan.limit(); err != nil {
		return err
	}
	if err := confine.BelowTracer(); err != nil {
		return err
	}
	for _, fd := range plan.handed() {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	environment := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PROOT_LOADER=" + filepath.Join(tree, treeLoaderName)}
	return syscall.Exec(plan.PRoot, plan.command(tree), environment)
}

// treeInside is where a hidden sandbox's own tree is seen before PRoot makes it the root.
const treeInside = "/run/sandbox"

// hide enters a root that shows of the host what PRoot is linked with, and of the sandboxes this one alone.
func (p prootPlan) hide() error {
	err := buildMockTree(p.Root, ownTreeMB, func(root string) error {
		if err := showFromHost(p.PRoot, root); err != nil && !exists(filepath.Join(root, p.PRoot)) {
			return err
		}
		target := filepath.Join(root, treeInside)
		if err := os.MkdirAll(target, 0o700); err != nil {
			return err
		}
		return unix.Mount(p.Tree, target, "", unix.MS_BIND, "")
	})
	if err != nil {
		return err
	}
	if !p.HostNetwork {
		if err := netdevice.RaiseLoopback(); err != nil {
			return fmt.Errorf("raise loopback: %w", err)
		}
	}
	return closeNamespaces(p.ID)
}

// allowed is all of the file system that the sandbox, PRoot itself included, is left with by the kernel.
func (p prootPlan) allowed(tree string) []confine.Path {
	paths := []confine.Path{
		{Name: filepath.Join(tree, treeRootName), Rights: confine.Own},
		{Name: filepath.Join(tree, treeLoaderName), Rights: confine.Execute},
		{Name: filepath.Join(tree, treeAgentName), Rights: confine.Execute},
		{Name: p.PRoot, Rights: confine.Execute},
		{Name: "/etc/ld.so.cache", Rights: confine.Read},
		{Name: "/proc", Rights: confine.Write},
		{Name: "/dev/ptmx", Rights: confine.Device},
		{Name: "/dev/pts", Rights: confine.Device},
	}
	for _, directory := range []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"} {
		paths = append(paths, confine.Path{Name: directory, Rights: confine.Execute})
	}
	for _, name := range deviceFiles {
		paths = append(paths, confine.Path{Name: "/dev/" + name, Rights: confine.Device})
	}
	return paths
}

// limit bounds each process; of the bounds, the number of processes alone is the whole sandbox's, where it has users of its
// own.
func (p prootPlan) limit() error {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	limits := map[int]uint64{
		unix.RLIMIT_CORE:   0,
		unix.RLIMIT_FSIZE:  uint64(p.FileMB) << 20,
		unix.RLIMIT_NOFILE: min(files.Max, p.OpenFiles),
	}
	if p.Hidden {
		limits[unix.RLIMIT_NPROC] = uint64(p.PidsMax)
	}
	for resource, most := range limits {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("bound resource %d: %w", resource, err)
		}
	}
	return nil
}

// handed are the descriptors that the agent gets.
func (p prootPlan) handed() []int {
	if p.Egress {
		return []int{prootListener, prootEgress}
	}
	return []int{prootListener}
}

func (p prootPlan) command(tree string) []string {
	who := strconv.Itoa(p.UID)
	command := []string{
		p.PRoot, "-v", "-1", "-i", who + ":" + who, "-r", filepath.Join(tree, treeRootName), "-w", "/", "-b", "/proc",
		"-b", filepath.Join(tree, treeAgentName) + ":" + agentInside,
	}
	for _, name := range deviceFiles {
		command = append(command, "-b", "/dev/"+name)
	}
	command = append(command, "-b", "/dev/ptmx", "-b", "/dev/pts")
	command = append(command, agentInside, "serve", "--listen-fd", strconv.Itoa(prootListener), "--traced", "--workdir", "/workspace")
	if p.Egress {
		command = append(command, "--egress-fd", strconv.Itoa(prootEgress), "--egress-proxy")
	}
	return command
}
