package host

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const listenBacklog = 256

// listen binds the agent's socket in the sandbox's own 0700 directory, where nothing inside can replace it.
func listen(path string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		file.Close()
		return nil, fmt.Errorf("bind %s: %w", path, err)
	}
	if err := unix.Listen(fd, listenBacklog); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
