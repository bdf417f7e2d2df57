package main

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// others are tried one by one with `call`, like attempts; they are not part of `calls`.
var others = map[string]func() error{
	"mount cgroup":          func() error { return unix.Mount("cgroup", "/tmp", "cgroup", 0, "memory") },
	"mount cgroup2":         func() error { return unix.Mount("none", "/tmp", "cgroup2", 0, "") },
	"mount overlay":         func() error { return unix.Mount("overlay", "/tmp", "overlay", 0, "lowerdir=/:/tmp") },
	"mount sysfs":           func() error { return unix.Mount("sysfs", "/tmp", "sysfs", 0, "") },
	"mount block":           func() error { return unix.Mount("/dev/loop0", "/tmp", "ext4", 0, "") },
	"remount proc":          func() error { return unix.Mount("", "/proc/sys", "", unix.MS_REMOUNT|unix.MS_BIND, "") },
	"share mounts":          func() error { return unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, "") },
	"mount_setattr":         mountSetattr,
	"unshare cgroup":        func() error { return unix.Unshare(unix.CLONE_NEWCGROUP) },
	"fanotify_init":         func() error { fd, err := unix.FanotifyInit(0, 0); return closing(fd, err) },
	"pidfd_getfd":           pidfdGetfd,
	"finit_module":          func() error { return unix.FinitModule(0, "", 0) },
	"delete_module":         func() error { return unix.DeleteModule("stacyvm_none", 0) },
	"kexec_file_load":       func() error { return raw(kexecFileLoad(), 0, 0, 0) },
	"swapon":                func() error { return raw(unix.SYS_SWAPON, path("/none"), 0, 0) },
	"acct":                  func() error { return unix.Acct("/tmp/acct") },
	"quotactl":              func() error { return raw(unix.SYS_QUOTACTL, 0, path("/none"), 0) },
	"vhangup":               func() error { return raw(unix.SYS_VHANGUP, 0, 0, 0) },
	"setdomainname":         func() error { return unix.Setdomainname([]byte("probe")) },
	"clock_settime":         setSameTime,
	"adjtimex":              func() error { _, err := unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_TICK, Tick: 10000}); return err },
	"move_pages":            func() error { return raw(unix.SYS_MOVE_PAGES, 1, 0, 0) },
	"raw IPv6 socket":       func() error { return socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6) },
	"change interface":      changeInterface,
	"add interface":         addInterface,
	"audit socket":          auditRules,
	"load bpf program":      loadProgram,
	"unshare user alone":    func() error { return inChild(unix.SYS_UNSHARE, unix.CLONE_NEWUSER, 0) },
	"trusted xattr":         func() error { return unix.Setxattr("/tmp", "trusted.probe", []byte("x"), 0) },
	"set file caps":         setFileCapabilities,
	"ptrace own child":      func() error { return unix.PtraceSeize(os.Getppid()) },
	"write memory of pid 1": func() error { return write("/proc/1/mem", "x") },
	"read environ of pid 1": func() error { return read("/proc/1/environ") },
	"read maps of pid 1":    func() error { return read("/proc/1/maps") },
	"write exe of pid 1":    func() error { return write("/proc/1/exe", "x") },
	"write agent":           func() error { return write("/dev/.stacyvm-agent", "x") },
	"write max of descendants": func() error {
		return write("/sys/fs/cgroup/cgroup.max.descendants", "max")
	},
	"write release_agent": func() error { return write("/sys/fs/cgroup/release_agent", "/tmp/x") },
	"write binfmt_misc":   func() error { return write("/proc/sys/fs/binfmt_misc/register", ":x:M::x::/tmp/x:") },
	"write ns_last_pid":   func() error { return write("/proc/sys/kernel/ns_last_pid", "1") },
	"write ptrace_scope":  func() error { return write("/proc/sys/kernel/yama/ptrace_scope", "0") },
	"write panic":         func() error { return write("/proc/sys/kernel/panic", "0") },
	"write route_localnet": func() error {
		return write("/proc/sys/net/ipv4/conf/all/route_localnet", "0")
	},
	"write irq affinity": func() error { return write("/proc/irq/default_smp_affinity", "1") },
	"open loop control":  func() error { return read("/dev/loop-control") },
	"open loop device":   func() error { return read("/dev/loop0") },
	"open vhost":         func() error { return read("/dev/vhost-net") },
	"open port":          func() error { return read("/dev/port") },
	"open cpu msr":       func() error { return read("/dev/cpu/0/msr") },
	"open autofs":        func() error { return read("/dev/autofs") },
	"made block device":  func() error { return openMade("/tmp/probe-open-block", unix.S_IFBLK, 7, 0) },
	"made mem device":    func() error { return openMade("/tmp/probe-open-mem", unix.S_IFCHR, 1, 1) },
	"made kvm device":    func() error { return openMade("/tmp/probe-open-kvm", unix.S_IFCHR, 10, 232) },
	"made loop control":  func() error { return openMade("/tmp/probe-open-loop", unix.S_IFCHR, 10, 237) },
	"read sched_debug":   func() error { return read("/proc/sched_debug") },
	"read keys":          func() error { return read("/proc/keys") },
	"read timer_list":    func() error { return read("/proc/timer_list") },
	"read interrupts":    func() error { return read("/proc/interrupts") },
	"read kallsyms":      readSymbols,
	"list sys kernel":    func() error { return list("/sys/kernel") },
	"list sys firmware":  func() error { return list("/sys/firmware") },
	"list cgroups":       func() error { return list("/sys/fs/cgroup") },
	"list powercap":      func() error { return list("/sys/devices/virtual/powercap") },
}

// kexecFileLoad has no name in the package for arm64.
func kexecFileLoad() uintptr {
	if runtime.GOARCH == "arm64" {
		return 294
	}
	return 320
}

func path(name string) uintptr {
	return uintptr(unsafe.Pointer(&append([]byte(name), make([]byte, 16)...)[0]))
}

func mountSetattr() error {
	return unix.MountSetattr(unix.AT_FDCWD, "/proc/sys", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
}

// setSameTime is harmless where it is allowed.
func setSameTime() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return err
	}
	return unix.ClockSettime(unix.CLOCK_REALTIME, &now)
}

// pidfdGetfd takes a descriptor out of the agent.
func pidfdGetfd() error {
	agent, err := unix.PidfdOpen(1, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(agent) }()
	fd, err := unix.PidfdGetfd(agent, 3, 0)
	return closing(fd, err)
}

// loadProgram loads the shortest one that there is, as a filter of a socket.
func loadProgram() error {
	program := [2]uint64{0xb7, 0x95} // r0 = 0; exit
	license := []byte("GPL\x00")
	attributes := struct {
		kind, count      uint32
		program, license uint64
		rest             [12]uint64
	}{1, 2, uint64(uintptr(unsafe.Pointer(&program))), uint64(uintptr(unsafe.Pointer(&license[0]))), [12]uint64{}}
	return raw(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attributes)), unsafe.Sizeof(attributes))
}

// inChild makes a call in a process of one thread, which ends with the error as its status.
//
//go:norace
func inChild(call, a, b uintptr) error {
	syscall.ForkLock.Lock()
	pid, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && pid == 0 {
		_, _, errno = syscall.RawSyscall(call, a, b, 0)
		for {
			_, _, _ = syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(errno), 0, 0)
		}
	}
	syscall.ForkLock.Unlock()
	if errno != 0 {
		return errno
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(int(pid), &status, 0, nil); err != nil {
		return err
	}
	if status.ExitStatus() != 0 {
		return unix.Errno(status.ExitStatus())
	}
	return nil
}

func changeInterface() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}

// addInterface asks by netlink for a dummy interface.
func addInterface() error {
	message := []byte{
		44, 0, 0, 0, unix.RTM_NEWLINK, 0, 5, 6, 1, 0, 0, 0, 0, 0, 0, 0, // header: request, create, exclusive, acknowledge
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // interface
		12, 0, unix.IFLA_LINKINFO, 0, 8, 0, 1, 0, 'v', 'c', 'a', 'n',
	}
	return askNetlink(unix.NETLINK_ROUTE, message)
}

// auditRules asks for the rules of the machine's audit.
func auditRules() error {
	return askNetlink(unix.NETLINK_AUDIT, []byte{16, 0, 0, 0, 0xf5, 3, 5, 0, 1, 0, 0, 0, 0, 0, 0, 0})
}

func askNetlink(family int, message []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, family)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil || n < 20 || answer[4] != unix.NLMSG_ERROR {
		return err
	}
	if number := *(*int32)(unsafe.Pointer(&answer[16])); number != 0 {
		return unix.Errno(-number)
	}
	return nil
}

// setFileCapabilities gives a file CAP_SYS_ADMIN for whoever runs it, in the format that any namespace may not write.
func setFileCapabilities() error {
	const name = "/tmp/probe-capable"
	if err := os.WriteFile(name, nil, 0o755); err != nil {
		return err
	}
	defer func() { _ = os.Remove(name) }()
	value := []byte{1, 0, 0, 2, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	return unix.Setxattr(name, "security.capability", value, 0)
}

// openMade makes a device node and opens it.
func openMade(name string, kind uint32, major, minor uint32) error {
	if err := unix.Mknod(name, kind|0o666, int(unix.Mkdev(major, minor))); err != nil {
		return err
	}
	defer func() { _ = os.Remove(name) }()
	return closing(unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0))
}

// readSymbols looks for an address of the kernel that isn't zero.
func readSymbols() error {
	text, err := os.ReadFile("/proc/kallsyms")
	if err != nil {
		return unix.ENOENT
	}
	for _, c := range text[:min(16, len(text))] {
		if c != '0' {
			return nil
		}
	}
	return unix.ENODATA
}

// list says ENODATA of a directory with nothing in it.
func list(name string) error {
	entries, err := os.ReadDir(name)
	if os.IsNotExist(err) {
		return unix.ENOENT
	}
	if os.IsPermission(err) {
		return unix.EACCES
	}
	if err == nil && len(entries) == 0 {
		return unix.ENODATA
	}
	return err
}
