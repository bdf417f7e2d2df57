package outbound

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"stacyvm/native/internal/netdevice"
)

// tun is the sandbox's network device: whole IPv4 packets, one a read or write. It is the link of the stack too.
type tun struct {
	file *os.File
	fd   int
	stack.NetworkDispatcher
}

// openTun takes a descriptor that doesn't block.
func openTun(file *os.File) (*tun, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	t := &tun{file: file}
	if controlErr := raw.Control(func(fd uintptr) {
		t.fd = int(fd)
		var request *unix.Ifreq
		if request, err = unix.NewIfreq(""); err != nil {
			return
		}
		if err = unix.IoctlIfreq(t.fd, unix.TUNGETIFF, request); err == nil && request.Uint16()&(unix.IFF_TUN|unix.IFF_NO_PI|unix.IFF_VNET_HDR) != unix.IFF_TUN|unix.IFF_NO_PI {
			err = fmt.Errorf("its flags are %#x", request.Uint16())
		}
	}); controlErr != nil {
		err = controlErr
	}
	if err != nil {
		return nil, fmt.Errorf("the descriptor is no TUN: %w", err)
	}
	return t, nil
}

// WritePackets implements stack.LinkWriter.
func (t *tun) WritePackets(packets stack.PacketBufferList) (int, tcpip.Error) {
	for i, packet := range packets.AsSlice() {
		if _, err := unix.Writev(t.fd, packet.AsSlices()); err != nil {
			return i, &tcpip.ErrNoBufferSpace{} // as a wire that loses a packet
		}
	}
	return packets.Len(), nil
}

// The rest of stack.LinkEndpoint.

func (t *tun) MTU() uint32                             { return netdevice.MTU }
func (t *tun) SetMTU(uint32)                           {}
func (t *tun) MaxHeaderLength() uint16                 { return 0 }
func (t *tun) LinkAddress() tcpip.LinkAddress          { return "" }
func (t *tun) SetLinkAddress(tcpip.LinkAddress)        {}
func (t *tun) Attach(to stack.NetworkDispatcher)       { t.NetworkDispatcher = to }
func (t *tun) IsAttached() bool                        { return t.NetworkDispatcher != nil }
func (t *tun) Wait()                                   {}
func (t *tun) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }
func (t *tun) AddHeader(*stack.PacketBuffer)           {}
func (t *tun) ParseHeader(*stack.PacketBuffer) bool    { return true }
func (t *tun) Close()                                  {}
func (t *tun) SetOnCloseAction(func())                 {}

// Capabilities says that checksums of what the sandbox sends needn't be verified: nothing on the way can damage it.
func (t *tun) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload
}
