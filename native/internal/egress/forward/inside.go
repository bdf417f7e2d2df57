package forward

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/netdevice"
)

// Inside is the first argument of the process that makes a confined program's network and becomes that program.
const Inside = "forward-inside"

// placesFd is where the listeners go.
const placesFd = 3

// refused comes there instead of them where the network can't be used.
const refused = 1

// Enter makes the listeners that the arguments name, hands them over, and becomes the program behind them.
func Enter(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("%s: takes places and a program", Inside)
	}
	var places []place
	if err := json.Unmarshal([]byte(args[0]), &places); err != nil {
		return err
	}
	unix.CloseOnExec(placesFd)
	if err := netdevice.RaiseLoopback(); err != nil {
		_, _ = unix.Write(placesFd, []byte{refused})
		return fmt.Errorf("the loopback device: %w", err)
	}
	var fds []int
	for _, place := range places {
		listener, err := net.Listen("tcp", place.At)
		if err != nil {
			return err
		}
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			return err
		}
		defer file.Close()
		fds = append(fds, int(file.Fd()))
	}
	if err := unix.Sendmsg(placesFd, []byte{0}, unix.UnixRights(fds...), nil, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	path, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	return syscall.Exec(path, args[1:], os.Environ())
}
