package ports

import (
	"cmp"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxTableBytes bounds what is read of one of the kernel's tables.
	maxTableBytes = 4 << 20
	// maxPorts bounds the answer.
	maxPorts = 4096
	// maxDescriptors bounds the descriptors looked at to find owners.
	maxDescriptors = 100_000
)

// Port is a listening TCP socket. PID is 0 where its owner can't be seen.
type Port struct {
	Port    uint16
	Address string
	PID     int
	Command string
}

// Listening gives the ports in order.
func Listening() []Port {
	var sockets []socket
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		sockets = append(sockets, parseTable(read(name, maxTableBytes))...)
	}
	sockets = sockets[:min(len(sockets), maxPorts)]
	if len(sockets) == 0 {
		return nil
	}
	found := owners("/proc", sockets, maxDescriptors)
	out := make([]Port, 0, len(sockets))
	for _, s := range sockets {
		p := Port{Port: s.port, Address: s.address.String(), PID: found[s.inode]}
		if p.PID > 0 {
			comm := strings.TrimSuffix(read("/proc/"+strconv.Itoa(p.PID)+"/comm", 64), "\n")
			p.Command = strings.ToValidUTF8(comm, "\uFFFD")
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Address, b.Address))
	})
	return out
}

func owners(proc string, sockets []socket, budget int) map[string]int {
	wanted := map[string]string{}
	for _, s := range sockets {
		wanted["socket:["+s.inode+"]"] = s.inode
	}
	found := map[string]int{}
	for _, name := range list(proc) {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		dir := proc + "/" + name + "/fd/"
		for _, fd := range list(dir) {
			if budget--; budget < 0 || len(found) == len(wanted) {
				return found
			}
			target, err := os.Readlink(dir + fd)
			if inode, ok := wanted[target]; err == nil && ok {
				found[inode] = pid
			}
		}
	}
	return found
}

func list(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	names, _ := f.Readdirnames(-1)
	return names
}

func read(name string, limit int64) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	text, _ := io.ReadAll(io.LimitReader(f, limit))
	return string(text)
}
