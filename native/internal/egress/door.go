package egress

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/egresswire"
)

// Door is where a sandbox's agent accepts.
type Door struct {
	Path string
	// GuestMade: the sandbox can put something else there.
	GuestMade bool
	// Relayed: somebody carries what is said there to the agent, who can't tell a reset from an end.
	Relayed bool
}

// knock opens a slot.
func (d Door) knock(ctx context.Context) (*net.UnixConn, error) {
	path := d.Path
	if d.GuestMade {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil {
			return nil, err
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
			return nil, fmt.Errorf("%s is no socket", path)
		}
		path = fmt.Sprintf("/proc/self/fd/%d", fd)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	slot := conn.(*net.UnixConn)
	if _, err := slot.Write([]byte{egresswire.KindSlot}); err != nil {
		_ = slot.Close()
		return nil, err
	}
	if !d.Relayed {
		return slot, nil
	}
	tunnelled, err := egresswire.Tunnel(slot)
	if err != nil {
		_ = slot.Close()
		return nil, err
	}
	return tunnelled, nil
}
