package host

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/egresswire"
	"stacyvm/native/internal/netdevice"
)

// gatewayUsers is the first of the egress gateways' users, which are below those of the sandboxes.
const gatewayUsers = 0x6fff0000

// gatewayUser is the egress gateway's user and group. It needs no name. Each data root has one of its own: what one server
// lets its gateway reach, the packet filter of another would refuse.
func (d dataRoot) gatewayUser() int {
	sum := sha256.Sum256([]byte(d.path))
	return gatewayUsers + int(binary.BigEndian.Uint16(sum[:]))
}

// listenForGateway binds the socket on which the agent takes the gateway's connections; nobody else's user reaches it. The
// gateway is this user's own where that isn't root.
func (h *Host) listenForGateway(id string) (*os.File, error) {
	path := h.root.egress(id)
	listener, err := listenUnseen(h.root.egressDoors(), filepath.Base(path))
	if err != nil {
		return nil, err
	}
	// The directory lets nobody but the gateway pass, so there is no moment in which another one could connect.
	err = os.Chmod(path, 0o600)
	if os.Getuid() == 0 {
		err = errors.Join(err, os.Lchown(path, h.root.gatewayUser(), h.root.gatewayUser()))
	}
	if err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// giveToGateway lets the gateway, and nobody else, connect to the socket that the agent has made itself.
func (h *Host) giveToGateway(path string) (given bool, err error) {
	name, ok := openSocket(path)
	if !ok {
		return false, nil
	}
	defer unix.Close(name)
	return true, h.root.sealSocket(name)
}

// sealSocket leaves a socket, opened as a place, to the gateway's user alone.
func (d dataRoot) sealSocket(name int) error {
	return errors.Join(
		os.Chmod(fmt.Sprintf("/proc/self/fd/%d", name), 0o600),
		unix.Fchownat(name, "", d.gatewayUser(), d.gatewayUser(), unix.AT_EMPTY_PATH),
	)
}

// waitForEgressDoor waits for the agent's socket and gives it to the gateway.
func (h *Host) waitForEgressDoor(ctx context.Context, id string, record *runtimeRecord) error {
	path, _ := h.egressAddress(id)
	var given bool
	var err error
	waited := waitForDoor(ctx, record, func() bool {
		given, err = h.giveToGateway(path)
		return given || err != nil
	})
	return errors.Join(waited, err)
}

// egressAddress is where the egress gateway reaches a sandbox, and whether the socket was made from inside; empty where the
// sandbox has no outbound network.
func (h *Host) egressAddress(id string) (path string, guestMade bool) {
	if door := h.root.egressDoor(id); exists(door) {
		return filepath.Join(door, egressSocketName), true
	}
	if path := h.root.egress(id); exists(path) {
		return path, false
	}
	return "", false
}

// makeNetwork makes the device of a sandbox's network and hands it to the agent, who alone will have it: nothing inside has
// the capability to change it, nor the device that makes more.
func (h *Host) makeNetwork(id string, record *runtimeRecord) error {
	process := openProcess(*record)
	if process < 0 {
		return fail(codeFailed, "the agent ended at once")
	}
	defer unix.Close(process)
	device, err := makeDeviceFor(process)
	if err != nil {
		return err
	}
	defer unix.Close(device)
	if err := handDevice(h.root.egress(id), device); err != nil {
		return fmt.Errorf("hand the network device to the agent: %w", err)
	}
	return nil
}

// makeDeviceFor makes the device in the network namespace of a process, which has none of this host's and nothing in it yet.
func makeDeviceFor(process int) (device int, err error) {
	type result struct {
		device int
		err    error
	}
	made := make(chan result, 1)
	go onMortalThread(func() {
		device, err := makeDevice(process)
		made <- result{device, err}
	})
	got := <-made
	if got.err != nil {
		return -1, fmt.Errorf("make the sandbox's network: %w", got.err)
	}
	return got.device, nil
}

// makeDevice moves the present thread into the network namespace of a process.
func makeDevice(process int) (device int, err error) {
	own, err := networkOf("/proc/thread-self/ns/net")
	if err != nil {
		return -1, err
	}
	if err := unix.Setns(process, unix.CLONE_NEWNET); err != nil {
		return -1, fmt.Errorf("join the network namespace: %w", err)
	}
	if err := requireEmptyNetwork(own); err != nil {
		return -1, err
	}
	return netdevice.Make()
}

// handDevice sends the device to whoever listens there, or will: until then it waits in the connection.
func handDevice(path string, device int) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return err
	}
	return unix.Sendmsg(fd, []byte{egresswire.KindTun}, unix.UnixRights(device), nil, 0)
}

// missingForTUN says why sandboxes can't have a network device here; empty where they can.
func missingForTUN() string {
	device, err := unix.Open(netdevice.Path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch {
	case err == nil:
		unix.Close(device)
		return ""
	case os.Getuid() != 0:
		return "not root; start the server as root"
	}
	return fmt.Sprintf("%s can't be opened (%v); load it: modprobe tun", netdevice.Path, err)
}
