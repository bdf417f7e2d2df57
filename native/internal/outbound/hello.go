package outbound

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// rightsMax is how many descriptors are taken in to be closed again where there are more than the one that belongs there.
const rightsMax = 4

func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

// readHello reads the first byte and the descriptor that came with it, if any.
func readHello(conn *net.UnixConn) (kind byte, descriptor *os.File, err error) {
	var first [1]byte
	control := make([]byte, unix.CmsgSpace(rightsMax*4))
	n, controlBytes, flags, _, err := conn.ReadMsgUnix(first[:], control)
	if err != nil {
		return 0, nil, err
	}
	descriptors, err := rights(control[:controlBytes])
	if err == nil && (n != 1 || flags&unix.MSG_CTRUNC != 0 || len(descriptors) > 1) {
		err = fmt.Errorf("%d bytes with %d descriptors", n, len(descriptors))
	}
	if err != nil {
		for _, fd := range descriptors {
			_ = unix.Close(fd)
		}
		return 0, nil, err
	}
	if len(descriptors) == 1 {
		if err := unix.SetNonblock(descriptors[0], true); err != nil {
			_ = unix.Close(descriptors[0])
			return 0, nil, err
		}
		descriptor = os.NewFile(uintptr(descriptors[0]), "tun")
	}
	return first[0], descriptor, nil
}

func rights(control []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	var all []int
	for i := range messages {
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			all = append(all, fds...)
		}
	}
	return all, nil
}
