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

// listenUnseen binds a socket as listen does, by a name that tells nothing of the directory: PRoot refuses to tell a socket's
// name that lies outside the sandbox.
func listenUnseen(directory, name string) (*os.File, error) {
	type result struct {
		file *os.File
		err  error
	}
	answer := make(chan result, 1)
	go onMortalThread(func() {
		// The directory that names begin in is this thread's own from here on.
		err := unix.Unshare(unix.CLONE_FS)
		if err == nil {
			err = unix.Chdir(directory)
		}
		if err != nil {
			answer <- result{nil, err}
			return
		}
		file, err := listen(name)
		answer <- result{file, err}
	})
	got := <-answer
	return got.file, got.err
}
