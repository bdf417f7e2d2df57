package resolve

import (
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Outcome is what is known of a name.
type Outcome int

// Outcomes of a lookup.
const (
	// Unavailable: no resolver answered.
	Unavailable Outcome = iota
	// Found: the name has addresses.
	Found
	// NoAddress: it exists and has none.
	NoAddress
	// UnknownHost: it doesn't exist.
	UnknownHost
)

// Result is the answer to a lookup. The addresses are as they were answered: judging them is the caller's.
type Result struct {
	Outcome   Outcome
	Addresses []netip.Addr
	TTL       time.Duration
}

const (
	// maxRecords bounds the records of an answer that are looked at.
	maxRecords = 128
	// maxAliases bounds a chain of CNAMEs.
	maxAliases = 16
	// maxAddresses bounds the addresses of one family.
	maxAddresses = 8
	// maxAge bounds what a resolver's TTL says.
	maxAge = 5 * time.Minute
	// negativeAge is maxAge for what doesn't exist.
	negativeAge = 30 * time.Second
)

type record struct {
	owner   string
	alias   string
	address netip.Addr
	ttl     uint32
}

// read takes what an answer says about the name that was asked for: its addresses and those of the names that it is an
// alias of. Records of other names are let be.
func read(message []byte, name string) Result {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || parser.SkipAllQuestions() != nil {
		return Result{}
	}
	records, ok := records(&parser)
	if !ok {
		return Result{}
	}
	found := Result{TTL: maxAge}
	owner := strings.ToLower(name)
	for range maxAliases {
		next := ""
		for _, record := range records {
			if record.owner != owner {
				continue
			}
			found.TTL = min(found.TTL, time.Duration(record.ttl)*time.Second)
			if record.alias != "" {
				next = record.alias
			} else if len(found.Addresses) < maxAddresses {
				found.Addresses = append(found.Addresses, record.address)
			}
		}
		if next == "" || len(found.Addresses) > 0 {
			break
		}
		owner = next
	}
	switch {
	case len(found.Addresses) > 0:
		found.Outcome = Found
		return found
	case header.RCode == dnsmessage.RCodeNameError:
		return Result{Outcome: UnknownHost, TTL: negativeTTL(&parser)}
	}
	return Result{Outcome: NoAddress, TTL: negativeTTL(&parser)}
}

func records(parser *dnsmessage.Parser) ([]record, bool) {
	var found []record
	for range maxRecords {
		header, err := parser.AnswerHeader()
		if err == dnsmessage.ErrSectionDone {
			return found, true
		}
		if err != nil {
			return nil, false
		}
		next := record{owner: strings.ToLower(header.Name.String()), ttl: header.TTL}
		switch {
		case header.Class != dnsmessage.ClassINET:
			err = parser.SkipAnswer()
		case header.Type == dnsmessage.TypeA:
			var a dnsmessage.AResource
			a, err = parser.AResource()
			next.address = netip.AddrFrom4(a.A)
		case header.Type == dnsmessage.TypeAAAA:
			var aaaa dnsmessage.AAAAResource
			aaaa, err = parser.AAAAResource()
			next.address = netip.AddrFrom16(aaaa.AAAA)
		case header.Type == dnsmessage.TypeCNAME:
			var cname dnsmessage.CNAMEResource
			cname, err = parser.CNAMEResource()
			next.alias = strings.ToLower(cname.CNAME.String())
		default:
			err = parser.SkipAnswer()
		}
		if err != nil {
			return nil, false
		}
		if next.address.IsValid() || next.alias != "" {
			found = append(found, next)
		}
	}
	return found, true
}

// negativeTTL is how long the absence of something holds (RFC 2308): what its SOA says, nothing without one.
func negativeTTL(parser *dnsmessage.Parser) time.Duration {
	if parser.SkipAllAnswers() != nil {
		return 0
	}
	for range maxRecords {
		header, err := parser.AuthorityHeader()
		if err != nil {
			return 0
		}
		if header.Type != dnsmessage.TypeSOA {
			if parser.SkipAuthority() != nil {
				return 0
			}
			continue
		}
		soa, err := parser.SOAResource()
		if err != nil {
			return 0
		}
		return min(time.Duration(min(header.TTL, soa.MinTTL))*time.Second, negativeAge)
	}
	return 0
}
