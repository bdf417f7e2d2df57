package host

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/egresswire"
)

// egressSocketName is of the socket that an agent makes in its sandbox's directory of egress doors, where it can't be handed one.
const egressSocketName = "egress.sock"

// TunRequest asks for the network device of a sandbox that an engine has made.
type TunRequest struct {
	SandboxID string `json:"sandbox_id"`
}

// Tun closes the egress door that a sandbox's agent has made to everybody but the gateway's user, makes the network device
// where that agent lives, and hands it over. Nothing else may have run in the sandbox yet. Whose network it is, the kernel says
// of the door itself: no request, and no word of an engine's, names a process.
func (h *Host) Tun(request TunRequest) error {
	if err := checkSandboxID(request.SandboxID); err != nil {
		return err
	}
	door, err := h.sealEgressDoor(request.SandboxID)
	if err != nil {
		return err
	}
	defer unix.Close(door)
	conn, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(conn)
	if err := unix.Connect(conn, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d", door)}); err != nil {
		return fail(codeFailed, "nobody listens at the egress door of %s: %v", request.SandboxID, err)
	}
	process, err := listenerOf(conn)
	if err != nil {
		return err
	}
	defer unix.Close(process)
	device, err := makeDeviceFor(process)
	if err != nil {
		return err
	}
	defer unix.Close(device)
	if err := unix.Sendmsg(conn, []byte{egresswire.KindTun}, unix.UnixRights(device), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("hand the network device to the agent: %w", err)
	}
	return nil
}

// sealEgressDoor gives the directory and the socket in it, which it returns by O_PATH, to the gateway's user alone. While the
// agent started anybody in the sandbox could write there, so nothing in it is reached through a link.
func (h *Host) sealEgressDoor(id string) (door int, err error) {
	fd, err := unix.Open(filepath.Join(h.root.egressDoors(), id), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fail(codeFailed, "sandbox %s has no egress door: %v", id, err)
	}
	directory := os.NewFile(uintptr(fd), "egress door")
	defer directory.Close()
	if err := errors.Join(directory.Chown(h.root.gatewayUser(), h.root.gatewayUser()), directory.Chmod(0o700)); err != nil {
		return -1, err
	}
	names, err := directory.Readdirnames(-1)
	if err != nil {
		return -1, err
	}
	if len(names) != 1 || names[0] != egressSocketName {
		return -1, fail(codeFailed, "the agent of %s left other things than its socket at its egress door", id)
	}
	door, err = unix.Openat(fd, egressSocketName, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	err = unix.Fstat(door, &st)
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		err = fail(codeFailed, "what lies at the egress door of %s is no socket", id)
	}
	if err == nil {
		err = h.root.sealSocket(door)
	}
	if err != nil {
		unix.Close(door)
		return -1, err
	}
	return door, nil
}

// listenerOf opens the process that listens at the other end of a connection, in whatever namespaces it lives.
func listenerOf(conn int) (process int, err error) {
	peer, err := unix.GetsockoptUcred(conn, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return -1, err
	}
	if peer.Pid <= 1 {
		return -1, fail(codeUnavailable, "the agent is not among the processes that this program sees: run the server where the engine's containers are seen")
	}
	process, err = unix.PidfdOpen(int(peer.Pid), 0)
	if err != nil {
		return -1, fail(codeFailed, "the agent ended at once: %v", err)
	}
	// A process closes its sockets before its number can come to mean another: one that is still connected is the one.
	fds := []unix.PollFd{{Fd: int32(conn), Events: unix.POLLRDHUP}}
	if _, err := unix.Poll(fds, 0); err != nil || fds[0].Revents != 0 {
		unix.Close(process)
		return -1, fail(codeFailed, "the agent ended at once")
	}
	return process, nil
}

// requireEmptyNetwork looks from a thread that has joined the network namespace of a sandbox.
func requireEmptyNetwork(own uint64) error {
	here, err := networkOf("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	if here == own {
		return fail(codeFailed, "the agent is in this host's network")
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, each := range interfaces {
		if each.Flags&net.FlagLoopback == 0 {
			return fail(codeFailed, "the sandbox has a network already: %s", each.Name)
		}
	}
	return nil
}

// networkOf tells one network namespace from another.
func networkOf(path string) (inode uint64, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, err
	}
	return st.Ino, nil
}
