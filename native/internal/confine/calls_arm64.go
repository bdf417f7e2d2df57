package confine

import "golang.org/x/sys/unix"

const (
	ownArch = unix.AUDIT_ARCH_AARCH64
	// firstForeign: there is no second set of numbers.
	firstForeign = 0
)

var unknownHere []uint32

var administrationHere = []uint32{unix.SYS_KEXEC_FILE_LOAD}
