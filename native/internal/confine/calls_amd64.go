package confine

import "golang.org/x/sys/unix"

const (
	ownArch = unix.AUDIT_ARCH_X86_64
	// firstForeign is where the numbers of x32 begin.
	firstForeign = 0x40000000
)

var unknownHere = []uint32{unix.SYS_USELIB}

var administrationHere = []uint32{
	unix.SYS_KEXEC_FILE_LOAD, unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS__SYSCTL, unix.SYS_USTAT, unix.SYS_SYSFS,
	unix.SYS_CREATE_MODULE, unix.SYS_GET_KERNEL_SYMS, unix.SYS_QUERY_MODULE,
}
