package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// wallTimeout bounds one call of nft.
	wallTimeout = 10 * time.Second
	// openMax, portsMax and resolversMax bound what an operator may open.
	openMax      = 256
	portsMax     = 64
	resolversMax = 16
)

// WallRequest asks for what the packet filter lets the egress gateway's user reach, or for its removal.
type WallRequest struct {
	UID       int64       `json:"uid"`
	Open      []WallEntry `json:"open"`
	Resolvers []string    `json:"resolvers"` // address and port
	Remove    bool        `json:"remove"`
}

// WallEntry is a network that the operator has opened although it is always denied.
type WallEntry struct {
	CIDR  string  `json:"cidr"`
	Ports [][]int `json:"ports"` // first and last of each range; none: all
}

// alwaysDenied stands here and in the gateway, each for the case that the other has a hole. An IPv6 address that holds
// an IPv4 address is denied whatever that one is.
var alwaysDenied = map[string][]string{
	"ip": {
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
	},
	"ip6": {
		"::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2002::/16", "5f00::/16",
		"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	},
}

// Wall replaces the rules of the packet filter for the egress gateway's user at once, or removes them. They don't look at
// connections: what is closed ends what went through, and the host needn't track anything.
func (h *Host) Wall(ctx context.Context, request WallRequest) error {
	table := h.wallTable()
	rules := fmt.Sprintf("table inet %s {}\ndelete table inet %s\n", table, table)
	if !request.Remove {
		more, err := wallRules(table, request)
		if err != nil {
			return err
		}
		rules += more
	}
	if err := nft(ctx, rules); err != nil {
		return err
	}
	h.walled.Store(!request.Remove)
	return nil
}

// takeWallDown removes what this program has put up.
func (h *Host) takeWallDown() error {
	if !h.walled.Load() {
		return nil
	}
	return h.Wall(context.Background(), WallRequest{Remove: true})
}

// wallTable is the data root's own.
func (h *Host) wallTable() string {
	sum := sha256.Sum256([]byte(h.root.path))
	return "stacyvm_egress_" + hex.EncodeToString(sum[:4])
}

// wallTemplate takes the table's name, the rules and the user. A reset is heard at once; an ICMP error to a socket that is just
// connecting may not be.
const wallTemplate = `table inet %s {
	chain refuse {
		meta l4proto tcp reject with tcp reset
		reject with icmpx type admin-prohibited
	}
	chain gateway {
		%s
	}
	chain output {
		type filter hook output priority filter; policy accept;
		meta skuid %d goto gateway
	}
}
`

// wallRules writes numbers, addresses and networks that were parsed, nothing of the request as it came.
func wallRules(table string, request WallRequest) (string, error) {
	if request.UID <= 0 || request.UID >= math.MaxUint32 {
		return "", fail(codeInvalid, "uid %d: the egress gateway's user, not root", request.UID)
	}
	if len(request.Open) > openMax || len(request.Resolvers) > resolversMax {
		return "", fail(codeInvalid, "at most %d open entries and %d resolvers", openMax, resolversMax)
	}
	var gateway []string
	for i, text := range request.Resolvers {
		at, err := netip.ParseAddrPort(text)
		if err != nil || at.Addr().Zone() != "" || at.Port() == 0 {
			return "", fail(codeInvalid, "resolvers[%d] %q: an address and a port, for example 203.0.113.53:53", i, text)
		}
		for _, protocol := range []string{"udp", "tcp"} {
			gateway = append(gateway, fmt.Sprintf("%s daddr %s %s dport %d accept", family(at.Addr().Unmap()), at.Addr().Unmap(), protocol, at.Port()))
		}
	}
	for i, entry := range request.Open {
		network, err := netip.ParsePrefix(entry.CIDR)
		if err != nil || network.Addr().Is4In6() {
			return "", fail(codeInvalid, "open[%d].cidr %q: a network, for example 10.1.2.0/24", i, entry.CIDR)
		}
		ports, err := wallPorts(entry.Ports)
		if err != nil {
			return "", fail(codeInvalid, "open[%d].ports: %v", i, err)
		}
		gateway = append(gateway, fmt.Sprintf("%s daddr %s %s accept", family(network.Addr()), network.Masked(), ports))
	}
	gateway = append(gateway, "fib daddr type != unicast goto refuse")
	for _, of := range []string{"ip", "ip6"} {
		gateway = append(gateway, fmt.Sprintf("%s daddr { %s } goto refuse", of, strings.Join(alwaysDenied[of], ", ")))
	}
	gateway = append(gateway, "meta l4proto != tcp goto refuse")
	return fmt.Sprintf(wallTemplate, table, strings.Join(gateway, "\n\t\t"), request.UID), nil
}

func family(address netip.Addr) string {
	if address.Is4() {
		return "ip"
	}
	return "ip6"
}

// wallPorts matches TCP to any of the ranges. Those that touch are made one, as nft refuses two of which one holds the other.
func wallPorts(ranges [][]int) (string, error) {
	if len(ranges) > portsMax {
		return "", fmt.Errorf("at most %d ranges", portsMax)
	}
	for _, each := range ranges {
		if len(each) != 2 || each[0] < 1 || each[1] < each[0] || each[1] > math.MaxUint16 {
			return "", fmt.Errorf("%v is no range of ports: the first and the last, for example [443,443]", each)
		}
	}
	if len(ranges) == 0 {
		return "meta l4proto tcp", nil
	}
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b []int) int { return a[0] - b[0] })
	var merged [][2]int
	for _, each := range sorted {
		if last := len(merged) - 1; last >= 0 && each[0] <= merged[last][1]+1 {
			merged[last][1] = max(merged[last][1], each[1])
			continue
		}
		merged = append(merged, [2]int{each[0], each[1]})
	}
	texts := make([]string, 0, len(merged))
	for _, each := range merged {
		text := fmt.Sprint(each[0])
		if each[1] > each[0] {
			text = fmt.Sprintf("%d-%d", each[0], each[1])
		}
		texts = append(texts, text)
	}
	return "tcp dport { " + strings.Join(texts, ", ") + " }", nil
}

func nft(ctx context.Context, rules string) error {
	path, err := exec.LookPath("nft")
	if err != nil {
		return fail(codeUnavailable, "%s", missingNft)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wallTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, path, "-f", "-")
	command.Env = []string{}
	command.Stdin = strings.NewReader(rules)
	if said, err := command.CombinedOutput(); err != nil {
		return fail(codeUnavailable, "nft: %v: %s", err, bytes.TrimSpace(said[:min(len(said), 1024)]))
	}
	return nil
}

const missingNft = "nft is missing, so no packet filter stands behind the egress gateway; install it: apt-get install nftables"

var nftVersionPattern = regexp.MustCompile(`\b\d+(\.\d+)+`)

// nftVersion is empty where there is none.
func nftVersion(ctx context.Context) string {
	path, err := exec.LookPath("nft")
	if err != nil {
		return ""
	}
	said, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return ""
	}
	return nftVersionPattern.FindString(string(said))
}

// missingForEgress says what outbound network lacks here, besides the device.
func missingForEgress(nftVersion string) []string {
	if nftVersion == "" {
		return []string{missingNft}
	}
	return []string{}
}
