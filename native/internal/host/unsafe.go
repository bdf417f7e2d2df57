package host

import "unsafe"

func ptr(buffer *[8]byte) unsafe.Pointer { return unsafe.Pointer(buffer) }
