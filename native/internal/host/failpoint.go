package host

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Steps after which a crash is tried out. Spawn does them in this order, destroy in its own.
const (
	stepSpawnDirectory = "spawn.directory"
	stepSpawnSlot      = "spawn.slot"
	stepSpawnMounts    = "spawn.mounts"
	stepSpawnCgroup    = "spawn.cgroup"
	stepSpawnListener  = "spawn.listener"
	stepSpawnRuntime   = "spawn.runtime"
	stepSpawnNetwork   = "spawn.network"
	stepSpawnRecord    = "spawn.record"

	stepDestroyKilled  = "destroy.killed"
	stepDestroyRuntime = "destroy.runtime"
	stepDestroyCgroups = "destroy.cgroups"
	stepDestroySlot    = "destroy.slot"
	stepDestroyFiles   = "destroy.files"
)

// Failpoint crashes the program after a step, for tests of what a crash leaves behind. Inert unless Steps names one.
type Failpoint struct {
	Steps      []string
	MarkerFile string // the step's name is appended before the crash
	KillParent bool   // the parent goes first, as when the machine kills the whole service
}

// FailpointFromEnv reads STACYVM_FAILPOINT (names with commas), STACYVM_FAILPOINT_FILE and STACYVM_FAILPOINT_KILL=parent.
func FailpointFromEnv() Failpoint {
	names := os.Getenv("STACYVM_FAILPOINT")
	if names == "" {
		return Failpoint{}
	}
	return Failpoint{
		Steps:      strings.Split(names, ","),
		MarkerFile: os.Getenv("STACYVM_FAILPOINT_FILE"),
		KillParent: os.Getenv("STACYVM_FAILPOINT_KILL") == "parent",
	}
}

func (f Failpoint) reached(step string) {
	for _, name := range f.Steps {
		if name == step {
			f.crash(step)
		}
	}
}

func (f Failpoint) crash(step string) {
	if f.MarkerFile != "" {
		if file, err := os.OpenFile(f.MarkerFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600); err == nil {
			_, _ = file.WriteString(step + "\n")
			_ = file.Close()
		}
	}
	if f.KillParent {
		_ = unix.Kill(os.Getppid(), unix.SIGKILL)
	}
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	select {}
}
