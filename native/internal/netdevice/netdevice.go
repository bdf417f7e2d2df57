// Package netdevice makes the one network device of a sandbox that has an outbound network.
package netdevice

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// Path is where devices are made.
	Path = "/dev/net/tun"
	// Name is the device's.
	Name = "eth0"
	// MTU is large, as no packet leaves the host.
	MTU = 65_520
)

// Address is the device's, alone in its network.
var Address = [4]byte{198, 18, 0, 1}

// Make makes the device in the network namespace of the present thread, with a route through it to everywhere. Who reads the
// descriptor, which doesn't block, gets whole IPv4 packets, one a read. The device ends with the namespace.
func Make() (device int, err error) {
	device, err = unix.Open(Path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", Path, err)
	}
	defer func() {
		if err != nil {
			unix.Close(device)
		}
	}()
	if err := set(device, unix.TUNSETIFF, func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		return nil
	}); err != nil {
		return -1, fmt.Errorf("make %s: %w", Name, err)
	}
	// Else the kernel would remove it while whoever holds it ends, who would wait for some 30 ms; it goes with the namespace, of which
	// nobody waits for the end.
	if err := unix.IoctlSetInt(device, unix.TUNSETPERSIST, 1); err != nil {
		return -1, fmt.Errorf("make %s last: %w", Name, err)
	}
	return device, configure()
}

// configure gives the device an address, and everything else a route through it.
func configure() error {
	// The file is of the present namespace. Where the kernel has no IPv6 there is none.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+Name+"/disable_ipv6", []byte("1"), 0); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("switch IPv6 off: %w", err)
	}
	control, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(control)
	for _, step := range []struct {
		what string
		call uint
		set  func(*unix.Ifreq) error
	}{
		{"address", unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(Address[:]) }},
		{"mask", unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask[:]) }},
		{"MTU", unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(MTU); return nil }},
		{"flags", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }},
	} {
		if err := set(control, step.call, step.set); err != nil {
			return fmt.Errorf("set the %s of %s: %w", step.what, Name, err)
		}
	}
	if err := addDefaultRoute(control); err != nil {
		return fmt.Errorf("add the route through %s: %w", Name, err)
	}
	return nil
}

func set(fd int, call uint, set func(*unix.Ifreq) error) error {
	request, err := unix.NewIfreq(Name)
	if err != nil {
		return err
	}
	if err := set(request); err != nil {
		return err
	}
	return unix.IoctlIfreq(fd, call, request)
}

var mask = [4]byte{255, 255, 255, 255}

// routeEntry is the kernel's struct rtentry.
type routeEntry struct {
	_                    uint64
	target, gateway, net unix.RawSockaddrInet4
	flags                uint16
	_                    [22]byte
	metric               int16
	_                    [6]byte
	device               *byte
	mtu, window          uint64
	rtt                  uint16
	_                    [6]byte
}

func addDefaultRoute(control int) error {
	name, err := unix.BytePtrFromString(Name)
	if err != nil {
		return err
	}
	route := routeEntry{flags: unix.RTF_UP, device: name}
	route.target.Family, route.gateway.Family, route.net.Family = unix.AF_INET, unix.AF_INET, unix.AF_INET
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(control), unix.SIOCADDRT, uintptr(unsafe.Pointer(&route))); errno != 0 {
		return errno
	}
	return nil
}
