package main

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attempts are calls that reach for the host, for another sandbox, or for parts of the kernel that a sandbox has no use
// for. Arguments are such that an unprivileged caller without a filter would get past the first checks.
var attempts = map[string]func() error{
	"clone3 user namespace": func() error { return clone3(unix.CLONE_NEWUSER) },
	"clone3 pid namespace":  func() error { return clone3(unix.CLONE_NEWPID) },
	"clone user namespace":  func() error { return clone(unix.CLONE_NEWUSER) },
	"clone mount namespace": func() error { return clone(unix.CLONE_NEWNS) },
	"unshare user":          func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"unshare mount":         func() error { return unix.Unshare(unix.CLONE_NEWNS) },
	"unshare net":           func() error { return unix.Unshare(unix.CLONE_NEWNET) },
	"setns":                 setnsToOwn,
	"mount tmpfs":           func() error { return unix.Mount("none", "/tmp", "tmpfs", 0, "") },
	"mount proc":            func() error { return unix.Mount("proc", "/tmp", "proc", 0, "") },
	"bind mount":            func() error { return unix.Mount("/", "/tmp", "", unix.MS_BIND, "") },
	"remount root":          func() error { return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "") },
	"unmount proc":          func() error { return unix.Unmount("/proc", unix.MNT_DETACH) },
	"fsopen":                func() error { _, err := unix.Fsopen("tmpfs", 0); return err },
	"open_tree":             func() error { _, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE); return err },
	"pivot_root":            func() error { return unix.PivotRoot("/tmp", "/tmp") },
	"chroot":                func() error { return unix.Chroot("/tmp") },
	"mknod block device":    func() error { return mknod("/tmp/probe-block", unix.S_IFBLK, 7) },
	"mknod char device":     func() error { return mknod("/tmp/probe-char", unix.S_IFCHR, 10) },
	"ptrace pid 1":          func() error { return unix.PtraceSeize(1) },
	"read memory of pid 1":  readMemoryOfFirst,
	"keyctl":                func() error { _, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, true); return err },
	"add_key": func() error {
		_, err := unix.AddKey("user", "probe", []byte("x"), unix.KEY_SPEC_PROCESS_KEYRING)
		return err
	},
	"request_key":     func() error { _, err := unix.RequestKey("user", "probe", "", 0); return err },
	"bpf":             func() error { return raw(unix.SYS_BPF, 0, 0, 0) },
	"perf_event_open": perfEventOpen,
	"io_uring_setup":  ioUringSetup,
	"userfaultfd":     func() error { return raw(unix.SYS_USERFAULTFD, 1, 0, 0) },
	"kcmp":            func() error { return raw(unix.SYS_KCMP, uintptr(os.Getpid()), 1, 0) },
	"open_by_handle_at": func() error {
		_, err := unix.OpenByHandleAt(unix.AT_FDCWD, unix.NewFileHandle(1, make([]byte, 8)), 0)
		return err
	},
	"init_module":           func() error { return unix.InitModule(nil, "") },
	"kexec_load":            func() error { return raw(unix.SYS_KEXEC_LOAD, 0, 0, 0) },
	"reboot":                func() error { return unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF) },
	"swapoff":               func() error { return raw(unix.SYS_SWAPOFF, uintptr(unsafe.Pointer(&[]byte("/none\x00")[0])), 0, 0) },
	"sethostname":           func() error { return unix.Sethostname([]byte("probe")) },
	"settimeofday":          func() error { return unix.Settimeofday(&unix.Timeval{Sec: 1}) },
	"syslog":                func() error { _, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, make([]byte, 64)); return err },
	"raw socket":            func() error { return socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) },
	"packet socket":         func() error { return socket(unix.AF_PACKET, unix.SOCK_RAW, 0) },
	"vsock":                 func() error { return socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0) },
	"kernel crypto socket":  func() error { return socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0) },
	"push into a terminal":  func() error { return unix.IoctlSetPointerInt(0, unix.TIOCSTI, 'x') },
	"raise open files":      raiseOpenFiles,
	"lower oom score":       func() error { return write("/proc/self/oom_score_adj", "-1000") },
	"write sysrq-trigger":   func() error { return write("/proc/sysrq-trigger", "h") },
	"write core_pattern":    func() error { return write("/proc/sys/kernel/core_pattern", "|/tmp/x") },
	"write modprobe":        func() error { return write("/proc/sys/kernel/modprobe", "/tmp/x") },
	"write drop_caches":     func() error { return write("/proc/sys/vm/drop_caches", "1") },
	"allow user namespaces": func() error { return write("/proc/sys/user/max_user_namespaces", "10") },
	"write uevent_helper":   func() error { return write("/sys/kernel/uevent_helper", "/tmp/x") },
	"read kcore":            func() error { return read("/proc/kcore") },
	"read kmsg":             func() error { return read("/dev/kmsg") },
	"open dev mem":          func() error { return read("/dev/mem") },
	"open kvm":              func() error { return read("/dev/kvm") },
	"open fuse":             func() error { return read("/dev/fuse") },
	"open net tun":          func() error { return read("/dev/net/tun") },
}
