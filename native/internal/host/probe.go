package host

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/confine"
)

// ProbeAnswer says what this machine can do.
type ProbeAnswer struct {
	CgroupMode   string              `json:"cgroup_mode"`
	RuntimeKind  runtimeKind         `json:"runtime_kind"`
	OpenFilesMax uint64              `json:"open_files_max"`
	Versions     map[string]string   `json:"versions"`
	Missing      map[string][]string `json:"missing"` // provider, or "egress", to what is missing, each with what would help
	// NoNamespaces says why a sandbox without privileges can't have namespaces of its own; empty where it can.
	NoNamespaces string `json:"no_namespaces"`
	// NoTUN says why sandboxes can't have a TUN; empty where they can.
	NoTUN string `json:"no_tun"`
	// Landlock is the kernel's version of it, 0 where it is off.
	Landlock int `json:"landlock"`
}

// Probe looks without changing anything.
func (h *Host) Probe(ctx context.Context) (*ProbeAnswer, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	answer := &ProbeAnswer{
		CgroupMode: h.cgroups.mode(), OpenFilesMax: limit.Max, Versions: map[string]string{}, Missing: map[string][]string{},
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		answer.Versions["kernel"] = unix.ByteSliceToString(name.Release[:])
	}
	both := append(h.missingForAll(), missingNamespaces()...)
	oci := append([]string{}, both...)
	version, err := h.runtimeVersion(ctx)
	if err != nil {
		oci = append(oci, fmt.Sprintf("%s does not run (%v); install it: apt-get install runc", h.options.RuntimePath, err))
	}
	answer.Versions["runtime"] = version
	answer.RuntimeKind = kindOf(version)
	oci = append(oci, missingForKind(answer.RuntimeKind, h.options.RuntimePath)...)
	answer.Missing["oci"] = append(oci, h.missingForOCI()...)
	answer.Missing["mock"] = both
	answer.NoTUN = missingForTUN()
	answer.NoNamespaces, answer.Landlock = h.hidesProcesses(), confine.LandlockVersion()
	answer.Missing["proot"] = h.missingForPRoot()
	answer.Versions["proot"] = h.prootVersion(ctx)
	answer.Versions["nft"] = nftVersion(ctx)
	answer.Missing["egress"] = missingForEgress(answer.Versions["nft"])
	return answer, nil
}

func (h *Host) missingForAll() []string {
	missing := []string{}
	if _, err := os.Stat(h.options.AgentPath); err != nil {
		missing = append(missing, "the agent's binary is missing; build it: npm run build")
	}
	if os.Getuid() == 0 {
		for _, dir := range h.root.untraversable() {
			missing = append(missing, fmt.Sprintf("sandboxes' users cannot pass %s; let them: chmod o+x %s", dir, dir))
		}
	}
	return missing
}

func missingNamespaces() []string {
	if data, err := os.ReadFile("/proc/sys/user/max_user_namespaces"); err != nil || strings.TrimSpace(string(data)) == "0" {
		return []string{"user namespaces are off; allow them: sysctl user.max_user_namespaces=65536"}
	}
	return nil
}

func (h *Host) missingForPRoot() []string {
	missing := h.missingForAll()
	if _, err := exec.LookPath(h.options.PRootPath); err != nil {
		missing = append(missing, fmt.Sprintf("%s is missing; install it: apt-get install proot", h.options.PRootPath))
	}
	return missing
}

var prootVersionPattern = regexp.MustCompile(`\b\d+\.\d+\.\d+`)

func (h *Host) prootVersion(ctx context.Context) string {
	said, err := exec.CommandContext(ctx, h.options.PRootPath, "--version").Output()
	if err != nil {
		return ""
	}
	return prootVersionPattern.FindString(string(said))
}

func (h *Host) missingForOCI() []string {
	missing := []string{}
	if os.Getuid() != 0 {
		missing = append(missing, "not root; start the server as root")
	}
	if data, err := os.ReadFile("/proc/filesystems"); err == nil {
		for _, name := range []string{"overlay", "ext4"} {
			if !strings.Contains(string(data), "\t"+name+"\n") {
				missing = append(missing, fmt.Sprintf("the kernel lacks %s; load it: modprobe %s", name, name))
			}
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		missing = append(missing, "no loop devices; load them: modprobe loop")
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		missing = append(missing, "mkfs.ext4 is missing; install it: apt-get install e2fsprogs")
	}
	if h.cgroups.mode() == "none" {
		missing = append(missing, "no cgroups are mounted; mount them: mount -t cgroup2 cgroup2 /sys/fs/cgroup")
	}
	var attributes unix.MountAttr
	if err := unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &attributes); err == unix.ENOSYS {
		missing = append(missing, "the kernel cannot map a mount's owners; use Linux 5.19 or newer")
	}
	return missing
}
