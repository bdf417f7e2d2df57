package main

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// raw sends an ICMP echo, a packet of an unassigned protocol and a frame, by whichever sockets the kernel gives; to each it
// says what came of it, "sent" where the kernel took it.
func raw(args []string) (any, error) {
	address, err := netip.ParseAddr(args[0])
	if err != nil {
		return nil, err
	}
	to := &unix.SockaddrInet4{Addr: address.As4()}
	echo := []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}
	try := func(domain, kind, protocol int, message []byte, to unix.Sockaddr) string {
		socket, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol)
		if err != nil {
			return nameOf(err)
		}
		defer func() { _ = unix.Close(socket) }()
		if err := unix.Sendto(socket, message, 0, to); err != nil {
			return nameOf(err)
		}
		return "sent"
	}
	const unassigned, anyFrame = 253, 0x0300
	return map[string]string{
		"icmp":   try(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP, echo, to),
		"ping":   try(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP, echo, to),
		"raw":    try(unix.AF_INET, unix.SOCK_RAW, unassigned, []byte("data"), to),
		"packet": try(unix.AF_PACKET, unix.SOCK_RAW, anyFrame, make([]byte, 60), &unix.SockaddrLinklayer{Ifindex: 2}),
	}, nil
}
