package host

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// inPrivateMounts runs do on a thread with a mount namespace of its own. The thread, and with it the namespace, ends
// afterwards; only a program that do started, and what that one started, still holds the mounts.
func inPrivateMounts(do func() error) error {
	result := make(chan error, 1)
	go onMortalThread(func() {
		result <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
				return fail(codeUnavailable, "unshare the mount namespace: %v", err)
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return fmt.Errorf("make mounts private: %w", err)
			}
			return do()
		}()
	})
	return <-result
}

// onMortalThread runs do on a thread that ends with the goroutine. The program's first thread never does: Go parks it,
// and its namespaces would live on.
func onMortalThread(do func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		do() // the thread stays locked, so it is not used again
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		onMortalThread(do)
	}()
	<-done
	runtime.UnlockOSThread()
}

// mountRoot assembles the sandbox's root in the present mount namespace and opens its console file, which lies on the
// sandbox's own disk but outside its root: bounded, and gone when the disk goes.
func (h *Host) mountRoot(image string, layer *disk, users, base, agentUID int) (*os.File, error) {
	if err := h.mountAgent(); err != nil {
		return nil, err
	}
	lower, err := idmappedClone(image, users)
	if err != nil {
		return nil, err
	}
	defer unix.Close(lower)
	if err := attach(lower, h.root.mountLower()); err != nil {
		return nil, fmt.Errorf("attach image: %w", err)
	}
	if err := attach(layer.mount, h.root.mountDisk()); err != nil {
		return nil, fmt.Errorf("attach disk: %w", err)
	}
	upper := filepath.Join(h.root.mountDisk(), "upper")
	if err := copyRootMode(h.root.mountLower(), upper, base); err != nil {
		return nil, err
	}
	if err := h.ensureDirectories(upper, base, agentUID); err != nil {
		return nil, err
	}
	// volatile: a sandbox's files need not survive a crash of the machine, so sync is free.
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work,volatile", lowerName, diskName, diskName)
	if err := h.mountOverlay(rootName, unix.MS_NODEV|unix.MS_NOATIME, layers); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(h.root.mountDisk(), "console"), os.O_RDWR|os.O_APPEND|unix.O_NOFOLLOW, 0)
}

// agentPath is where mountAgent shows the agent.
func (h *Host) agentPath() string {
	return filepath.Join(h.root.mountAgent(), filepath.Base(h.options.AgentPath))
}

// mountAgent shows the agent's directory at a mount point of ours. It is an overlay because a plain bind would tell
// every sandbox where on the host the file lies.
func (h *Host) mountAgent() error {
	directory := filepath.Dir(h.options.AgentPath)
	clone, err := unix.OpenTree(unix.AT_FDCWD, directory, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open %s: %w", directory, err)
	}
	defer unix.Close(clone)
	if err := attach(clone, h.root.mountAgent()); err != nil {
		return fmt.Errorf("attach %s: %w", directory, err)
	}
	// Without an upper layer there must be two lower ones: the root's mount point is still empty.
	layers := fmt.Sprintf("lowerdir=%s:%s", agentName, rootName)
	return h.mountOverlay(agentName, unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, layers)
}

// mountOverlay makes an overlay on a mount point of ours, with layers named from mounts(). This thread's directory is
// its own: it came with the mount namespace.
func (h *Host) mountOverlay(target string, flags uintptr, layers string) error {
	if err := unix.Chdir(h.root.mounts()); err != nil {
		return err
	}
	if err := unix.Mount("overlay", target, "overlay", flags, layers); err != nil {
		return fmt.Errorf("mount overlay on %s: %w", target, err)
	}
	return unix.Chdir("/")
}

// copyRootMode gives the writable layer's root to the sandbox's root user. Its mode is the image's, but always passable.
func copyRootMode(lower, upper string, base int) error {
	var st unix.Stat_t
	if err := unix.Stat(lower, &st); err != nil {
		return err
	}
	if err := os.Chown(upper, base, base); err != nil {
		return err
	}
	return unix.Chmod(upper, st.Mode&0o7777|0o555)
}

// mountedOn are the directories of the root that the runtime mounts on.
var mountedOn = []string{"dev", "proc", "sys"}

// ensureDirectories makes what an agent without privileges could not: its working directory, and /tmp where the image
// has none. What the runtime mounts on is hidden by a directory where the image has anything else: a runtime that follows
// a symlink there works on the host's files. All are made in the writable layer, before anything hostile has seen it.
func (h *Host) ensureDirectories(upper string, base, agentUID int) error {
	workspace := filepath.Join(upper, "workspace")
	if err := os.Mkdir(workspace, 0o755); err != nil {
		return err
	}
	if err := os.Chown(workspace, base+agentUID, base+agentUID); err != nil {
		return err
	}
	for _, name := range mountedOn {
		if info, err := os.Lstat(filepath.Join(h.root.mountLower(), name)); err == nil && info.IsDir() {
			continue
		}
		if err := os.Mkdir(filepath.Join(upper, name), 0o755); err != nil {
			return err
		}
		if err := os.Chown(filepath.Join(upper, name), base, base); err != nil {
			return err
		}
	}
	if _, err := os.Lstat(filepath.Join(h.root.mountLower(), "tmp")); err == nil {
		return nil
	}
	temporary := filepath.Join(upper, "tmp")
	if err := os.Mkdir(temporary, 0o755); err != nil {
		return err
	}
	if err := os.Chown(temporary, base, base); err != nil {
		return err
	}
	return unix.Chmod(temporary, 0o1777)
}
