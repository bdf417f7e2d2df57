package outbound

import (
	"errors"
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// Copy carries what a connection reads until its direction ends, and holds a buffer only while there is something to write.
func Copy(to io.Writer, from syscall.Conn) error {
	raw, err := from.SyscallConn()
	if err != nil {
		return err
	}
	for {
		var piece *[]byte
		var n int
		waitErr := raw.Read(func(fd uintptr) bool {
			piece = pieces.Get().(*[]byte)
			for {
				if n, err = unix.Read(int(fd), *piece); err != unix.EINTR {
					break
				}
			}
			if err == unix.EAGAIN {
				pieces.Put(piece)
				piece = nil
			}
			return piece != nil
		})
		if piece == nil {
			return waitErr
		}
		if err = errors.Join(waitErr, err); n > 0 && err == nil {
			_, err = to.Write((*piece)[:n])
		}
		pieces.Put(piece)
		if n <= 0 || err != nil {
			return err
		}
	}
}
