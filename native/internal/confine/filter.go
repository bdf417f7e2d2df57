package confine

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Places in the kernel's struct seccomp_data.
const (
	numberOffset = 0
	archOffset   = 4
	argsOffset   = 16
	argSize      = 8
)

const (
	denied  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	unknown = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	// firstNone is where numbers begin that are no call on any architecture: what a tracer puts in a call's place.
	firstNone = 0x80000000
	// newNamespaces are CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET.
	newNamespaces = 0x7e020000
)

// socketFamilies are those that are let in: Unix, IPv4, IPv6, netlink. The rest lead to hypervisors, buses or little used
// parts of the kernel.
var socketFamilies = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

// terminalPushes are the ioctls that put characters into a terminal's input.
var terminalPushes = []uint32{unix.TIOCSTI, tiocLinux}

const tiocLinux = 0x541c

// BelowTracer is the filter that a tracer which translates paths, and all that it traces, live under. Calls that take a path
// and that the tracer may not know would be answered for the host's own root: they do not exist.
func BelowTracer() error { return install(belowTracer()) }

// OfTraced is the filter of what is traced alone: this thread and what it starts reach into no other process.
func OfTraced() error {
	var p program
	p.begin()
	p.refuse([]uint32{unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV}, denied)
	return install(p.end())
}

func belowTracer() []unix.SockFilter {
	var p program
	p.begin()
	p.refuse(append(unknownToTracer, unknownHere...), unknown)
	p.refuse(append(administration, administrationHere...), denied)
	p.onCall(unix.SYS_CLONE, func() {
		p.loadArgument(0)
		p.add(unix.BPF_JMP|unix.BPF_JSET|unix.BPF_K, newNamespaces, 0, 1)
		p.add(unix.BPF_RET|unix.BPF_K, denied, 0, 0)
	})
	p.onCall(unix.SYS_IOCTL, func() {
		p.loadArgument(1)
		for _, request := range terminalPushes {
			p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, request, 0, 1)
			p.add(unix.BPF_RET|unix.BPF_K, denied, 0, 0)
		}
	})
	p.onCall(unix.SYS_SOCKET, func() {
		p.loadArgument(0)
		for _, family := range socketFamilies {
			p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, family, 0, 1)
			p.add(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW, 0, 0)
		}
		p.add(unix.BPF_RET|unix.BPF_K, denied, 0, 0)
	})
	return p.end()
}

type program []unix.SockFilter

func (p *program) add(code uint16, k uint32, yes, no uint8) {
	*p = append(*p, unix.SockFilter{Code: code, K: k, Jt: yes, Jf: no})
}

// begin kills what calls by another architecture's numbers, and leaves the call's number loaded.
func (p *program) begin() {
	p.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, archOffset, 0, 0)
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, ownArch, 1, 0)
	p.add(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_KILL_PROCESS, 0, 0)
	p.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, numberOffset, 0, 0)
	p.add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, firstNone, 0, 1)
	p.add(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW, 0, 0)
	if firstForeign != 0 {
		p.add(unix.BPF_JMP|unix.BPF_JGE|unix.BPF_K, firstForeign, 0, 1)
		p.add(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_KILL_PROCESS, 0, 0)
	}
}

func (p *program) refuse(calls []uint32, answer uint32) {
	for _, call := range calls {
		p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, call, 0, 1)
		p.add(unix.BPF_RET|unix.BPF_K, answer, 0, 0)
	}
}

// onCall adds what looks at a call's arguments and, unless that returned, lets it pass.
func (p *program) onCall(call uint32, body func()) {
	at := len(*p)
	p.add(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, call, 0, 0)
	body()
	p.add(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW, 0, 0)
	(*p)[at].Jf = uint8(len(*p) - at - 1)
}

// loadArgument loads the half of an argument that the kernel looks at.
func (p *program) loadArgument(index uint32) {
	p.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, argsOffset+index*argSize, 0, 0)
}

func (p *program) end() []unix.SockFilter {
	p.add(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW, 0, 0)
	return *p
}

func install(filter []unix.SockFilter) error {
	whole := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&whole)))
	if errno != 0 {
		return fmt.Errorf("set the syscall filter: %w", errno)
	}
	return nil
}
