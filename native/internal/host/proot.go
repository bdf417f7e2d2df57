package host

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// PRootRequest asks for an agent below PRoot, over a copy of the image of its own.
type PRootRequest struct {
	SandboxID   string `json:"sandbox_id"`
	ServerID    string `json:"server_id"`
	Generation  int64  `json:"generation"`
	RootfsPath  string `json:"rootfs_path"`
	AgentUID    int    `json:"agent_uid"`    // as it seems inside: 0 or 1000
	FileMB      int    `json:"file_mb"`      // of the largest file
	PidsMax     int    `json:"pids_max"`     // processes and threads
	OpenFiles   uint64 `json:"open_files"`   // of each process
	HostNetwork bool   `json:"host_network"` // the network is the host's own
	Egress      bool   `json:"egress"`       // with an egress door, on which the agent asks for what programs ask of its proxy
}

// SpawnPRoot makes a sandbox or leaves nothing.
func (h *Host) SpawnPRoot(ctx context.Context, request PRootRequest) (*SpawnAnswer, error) {
	if err := checkSandboxID(request.SandboxID); err != nil {
		return nil, err
	}
	if request.AgentUID != 0 && request.AgentUID != 1000 {
		return nil, fail(codeInvalid, "agent_uid %d: 0 or 1000", request.AgentUID)
	}
	if request.FileMB < minDiskMB || request.FileMB > maxDiskMB {
		return nil, fail(codeInvalid, "file_mb %d: %d to %d", request.FileMB, minDiskMB, maxDiskMB)
	}
	if err := h.checkTree(request.RootfsPath); err != nil {
		return nil, err
	}
	hidden := h.hidesProcesses() == ""
	if !hidden && !request.HostNetwork {
		return nil, fail(codeUnavailable, "no network of its own without namespaces: %s", h.hidesProcesses())
	}
	if request.Egress && request.HostNetwork {
		return nil, fail(codeInvalid, "egress and host_network: what uses the host's network needs no way out, and minds none")
	}
	lock, err := h.claimDirectory(ctx, ownerRecord{
		Provider: "proot", ServerID: request.ServerID, SandboxID: request.SandboxID, Generation: request.Generation,
		CreatedAtMs: time.Now().UnixMilli(), RootfsPath: request.RootfsPath,
	})
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	answer, err := h.startPRoot(ctx, request, hidden, lock)
	return answer, h.undoUnless(ctx, request.SandboxID, err)
}

func (h *Host) startPRoot(ctx context.Context, request PRootRequest, hidden bool, lock *os.File) (*SpawnAnswer, error) {
	id, clock := request.SandboxID, newStepClock()
	owner, uid := -1, os.Getuid()
	if uid == 0 {
		slot, err := claimSlot(h.root, id)
		if err != nil {
			return nil, err
		}
		uid = slotBase(slot)
		owner = uid
	}
	h.failpoint.reached(stepSpawnSlot)
	if err := h.makeTree(ctx, id, request.RootfsPath, owner); err != nil {
		return nil, err
	}
	clock.mark("copy")
	h.failpoint.reached(stepSpawnMounts)
	listener, err := listenUnseen(h.root.sandbox(id), socketName)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	var egress *os.File
	if request.Egress {
		if egress, err = h.listenForGateway(id); err != nil {
			return nil, err
		}
		defer egress.Close()
	}
	h.failpoint.reached(stepSpawnListener)
	console, err := os.OpenFile(h.root.in(id, "console"), os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	plan, err := json.Marshal(prootPlan{
		ID: id, PRoot: h.options.PRootPath, Tree: h.root.tree(id), Root: h.root.mountRoot(), Hidden: hidden,
		HostNetwork: request.HostNetwork, Egress: request.Egress, UID: request.AgentUID, FileMB: request.FileMB, PidsMax: request.PidsMax, OpenFiles: request.OpenFiles,
	})
	if err != nil {
		return nil, err
	}
	command := exec.Command("/proc/self/exe", PRootInit, string(plan))
	command.SysProcAttr = prootAttributes(uid, hidden, request.HostNetwork)
	record, err := h.begin(firstProcess{
		id: id, command: command, console: console, what: "a PRoot sandbox",
		// The places that prootinit.go counts on.
		files: func(proceed, status *os.File) []*os.File {
			files := []*os.File{listener, proceed, status, lock}
			if egress != nil {
				files = append(files, egress)
			}
			return files
		},
	})
	if err != nil {
		return nil, err
	}
	clock.mark("runtime")
	answer := &SpawnAnswer{
		SocketPath: h.root.socket(id), Pid: record.Pid, StartTicks: record.StartTicks, UIDBase: uid, StepsUs: clock.steps,
	}
	answer.EgressPath, answer.EgressGuestMade = h.egressAddress(id)
	return answer, ctx.Err()
}

// prootAttributes are those of a sandbox's first process: a session and, where they can be had, namespaces of its own. It is
// never the host's root.
func prootAttributes(uid int, hidden, hostNetwork bool) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setsid: true}
	if !hidden {
		if os.Getuid() == 0 {
			attributes.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
		}
		return attributes
	}
	attributes.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS |
		unix.CLONE_NEWCGROUP
	if !hostNetwork {
		attributes.Cloneflags |= unix.CLONE_NEWNET
	}
	attributes.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
	attributes.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	attributes.Credential = &syscall.Credential{NoSetGroups: true}
	if os.Getuid() == 0 {
		attributes.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: idsPerSandbox}}
		attributes.GidMappings = attributes.UidMappings
		attributes.GidMappingsEnableSetgroups = true
		attributes.Credential = &syscall.Credential{}
	}
	return attributes
}

// makeTree copies the image and puts beside it what PRoot needs, all of it the sandbox's user's own.
func (h *Host) makeTree(ctx context.Context, id, image string, owner int) error {
	tree := h.root.tree(id)
	if err := os.Mkdir(tree, 0o700); err != nil {
		return err
	}
	f := furnisher{root: filepath.Join(tree, treeRootName), owner: owner}
	if err := copyTree(ctx, image, f.root, owner); err != nil {
		return err
	}
	if err := unix.Chmod(f.root, 0o755); err != nil {
		return err
	}
	agent, loader := filepath.Join(tree, treeAgentName), filepath.Join(tree, treeLoaderName)
	if err := copyFile(h.options.AgentPath, agent, 0o555); err != nil {
		return fail(codeUnavailable, "copy the agent: %v", err)
	}
	if err := extractLoader(h.options.PRootPath, loader); err != nil {
		return fail(codeUnavailable, "take the loader out of %s: %v", h.options.PRootPath, err)
	}
	for _, path := range []string{tree, loader, agent} {
		if err := f.own(path); err != nil {
			return err
		}
	}
	return f.furnish()
}

// furnisher makes in a copied image what programs expect and what PRoot binds over. Nothing inside has run yet.
type furnisher struct {
	root  string
	owner int
}

func (f furnisher) own(path string) error {
	if f.owner < 0 {
		return nil
	}
	return os.Lchown(path, f.owner, f.owner)
}

func (f furnisher) furnish() error {
	for _, directory := range []struct {
		name string
		mode uint32
	}{{"dev", 0o755}, {"proc", 0o555}, {"tmp", 0o1777}, {"workspace", 0o755}} {
		if err := f.directory(directory.name, directory.mode, directory.name == "dev" || directory.name == "proc"); err != nil {
			return err
		}
	}
	if err := f.directory("dev/pts", 0o755, true); err != nil {
		return err
	}
	for _, name := range append([]string{"ptmx", filepath.Base(agentInside)}, deviceFiles...) {
		path := filepath.Join(f.root, "dev", name)
		if err := removeTree(path); err != nil {
			return err
		}
		if err := os.WriteFile(path, nil, 0o444); err != nil {
			return err
		}
		if err := f.own(path); err != nil {
			return err
		}
	}
	for name, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(to, filepath.Join(f.root, "dev", name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// directory makes one that is missing. Where others are made below it, a link of the image's gives way: it may lead anywhere.
func (f furnisher) directory(name string, mode uint32, real bool) error {
	path := filepath.Join(f.root, name)
	info, err := os.Lstat(path)
	if err == nil && (info.IsDir() || !real) {
		return nil
	}
	if err == nil {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return errors.Join(os.Mkdir(path, 0o755), unix.Chmod(path, mode), f.own(path))
}

// extractLoader copies the small program with which PRoot starts others out of PRoot, which else would write it into the
// machine's /tmp. It is the first program inside of the same kind.
func extractLoader(proot, to string) error {
	whole, err := os.ReadFile(proot)
	if err != nil {
		return err
	}
	for at := 1; ; {
		next := bytes.Index(whole[at:], []byte(elf.ELFMAG))
		if next < 0 {
			return errors.New("there is none")
		}
		at += next
		inner, err := elf.NewFile(bytes.NewReader(whole[at:]))
		if err == nil && inner.Class == elf.ELFCLASS64 && inner.Type == elf.ET_EXEC {
			end := uint64(0)
			for _, segment := range inner.Progs {
				end = max(end, segment.Off+segment.Filesz)
			}
			for _, section := range inner.Sections {
				if section.Type != elf.SHT_NOBITS {
					end = max(end, section.Offset+section.FileSize)
				}
			}
			// The table of sections ends the file.
			end = max(end, binary.LittleEndian.Uint64(whole[at+elfSectionsAt:])+uint64(len(inner.Sections))*elfSectionSize)
			if end > uint64(len(whole)-at) {
				return errors.New("it is cut off")
			}
			if err := os.WriteFile(to, whole[at:at+int(end)], 0o500); err != nil {
				return err
			}
			return unix.Chmod(to, 0o555)
		}
		at++
	}
}

const (
	elfSectionsAt  = 40
	elfSectionSize = 64
)

// hidesProcesses tells why a sandbox here can't have namespaces of its own; empty where it can. Found out once.
func (h *Host) hidesProcesses() string {
	if known := h.hidden.Load(); known != nil {
		return *known
	}
	why := h.tryNamespaces()
	h.hidden.Store(&why)
	return why
}

func (h *Host) tryNamespaces() string {
	command := exec.Command("/proc/self/exe", PRootInit, h.root.mountRoot())
	command.Env = []string{}
	uid := os.Getuid()
	if uid == 0 {
		uid = firstMappedID
	}
	command.SysProcAttr = prootAttributes(uid, true, false)
	said, err := command.CombinedOutput()
	if err == nil {
		return ""
	}
	return strings.TrimSpace(fmt.Sprintf("%v %s", err, said))
}
