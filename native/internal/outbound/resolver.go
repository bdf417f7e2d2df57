package outbound

import (
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"stacyvm/native/internal/egresswire"
)

const (
	// queryBytesMax is the longest query that is read.
	queryBytesMax = 4096
	// lookupSlotWait and lookupWait bound a resolution, so that a program hears of a failure before it asks again.
	lookupSlotWait = 2 * time.Second
	lookupWait     = 5 * time.Second
	// answerTTL is the longest time for which an answer may be kept, seconds.
	answerTTL = 300
	// plainBytes is the longest datagram of who says nothing of longer ones (RFC 1035), ednsBytes ours.
	plainBytes = 512
	ednsBytes  = 1232
	// resolverIdle bounds the wait for the next query on a TCP connection.
	resolverIdle = 10 * time.Second
)

// Types that dnsmessage has no name for.
const (
	typeIXFR = dnsmessage.Type(251)
	typeANY  = dnsmessage.TypeALL
)

// query is one question, and whether it came with EDNS.
type query struct {
	header   dnsmessage.Header
	question dnsmessage.Question
	edns     bool
}

// answer is the resolver's answer to a message of the sandbox, of at most limit bytes; nil where none is due.
func (n *network) answer(message []byte, limit int) []byte {
	q, code, ok := readQuery(message)
	if !ok {
		return nil
	}
	if code != dnsmessage.RCodeSuccess {
		return q.reply(code, limit)
	}
	name, valid := egresswire.Name(q.question.Name.String())
	switch t := q.question.Type; {
	case !valid:
		return q.reply(dnsmessage.RCodeRefused, limit)
	case t == dnsmessage.TypePTR:
		return n.reverse(q, name, limit)
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		return q.localhost(limit)
	case t == dnsmessage.TypeA:
		return n.forward(q, name, limit)
	case t == dnsmessage.TypeAAAA || t == dnsmessage.TypeHTTPS || t == dnsmessage.TypeSVCB:
		code, _ := n.look(name)
		return q.reply(code, limit)
	case t == dnsmessage.TypeAXFR || t == typeIXFR || t == typeANY || t == dnsmessage.TypeOPT:
		return q.reply(dnsmessage.RCodeNotImplemented, limit)
	}
	return n.pass(q, message, limit)
}

// readQuery reads a query; not ok: it deserves no answer.
func readQuery(message []byte) (q query, code dnsmessage.RCode, ok bool) {
	var parser dnsmessage.Parser
	var err error
	if q.header, err = parser.Start(message); err != nil || q.header.Response {
		return q, 0, false
	}
	if q.header.OpCode != 0 {
		return q, dnsmessage.RCodeNotImplemented, true
	}
	q.question, err = parser.Question()
	if err != nil || len(message) > queryBytesMax {
		q.question = dnsmessage.Question{}
		return q, dnsmessage.RCodeFormatError, true
	}
	if _, err := parser.Question(); err != dnsmessage.ErrSectionDone {
		return q, dnsmessage.RCodeFormatError, true
	}
	if parser.SkipAllAnswers() != nil || parser.SkipAllAuthorities() != nil {
		return q, dnsmessage.RCodeFormatError, true
	}
	for {
		more, err := parser.AdditionalHeader()
		if err == dnsmessage.ErrSectionDone {
			break
		}
		if err != nil || parser.SkipAdditional() != nil {
			return q, dnsmessage.RCodeFormatError, true
		}
		q.edns = q.edns || more.Type == dnsmessage.TypeOPT
	}
	if q.question.Class != dnsmessage.ClassINET && q.question.Class != dnsmessage.ClassANY {
		return q, dnsmessage.RCodeRefused, true
	}
	return q, dnsmessage.RCodeSuccess, true
}

// datagramBytes is how long an answer to a query may be where it goes by datagram.
func datagramBytes(message []byte) int {
	var parser dnsmessage.Parser
	if _, err := parser.Start(message); err != nil || parser.SkipAllQuestions() != nil || parser.SkipAllAnswers() != nil || parser.SkipAllAuthorities() != nil {
		return plainBytes
	}
	for {
		more, err := parser.AdditionalHeader()
		if err != nil || more.Type == dnsmessage.TypeOPT {
			if err != nil {
				return plainBytes
			}
			return min(max(int(more.Class), plainBytes), queryBytesMax)
		}
		if parser.SkipAdditional() != nil {
			return plainBytes
		}
	}
}

// reply builds an answer of at most one record.
func (q query) reply(code dnsmessage.RCode, limit int, records ...dnsmessage.Resource) []byte {
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: q.header.ID, Response: true, OpCode: q.header.OpCode, RecursionDesired: q.header.RecursionDesired, RecursionAvailable: true, RCode: code,
		},
		Answers: records,
	}
	if q.question.Name.Length > 0 {
		message.Questions = []dnsmessage.Question{q.question}
	}
	if q.edns {
		var header dnsmessage.ResourceHeader
		if header.SetEDNS0(ednsBytes, dnsmessage.RCodeSuccess, false) == nil {
			message.Additionals = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.OPTResource{}}}
		}
	}
	packed, err := message.Pack()
	if err != nil || len(packed) > limit {
		return nil
	}
	return packed
}

func (q query) record(ttl uint32, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: q.question.Name, Class: dnsmessage.ClassINET, TTL: min(ttl, answerTTL)}, Body: body,
	}
}

func (q query) localhost(limit int) []byte {
	if q.question.Type != dnsmessage.TypeA {
		return q.reply(dnsmessage.RCodeSuccess, limit)
	}
	return q.reply(dnsmessage.RCodeSuccess, limit, q.record(answerTTL, &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}))
}

// forward answers with the name's own address if the gateway lets it be resolved.
func (n *network) forward(q query, name string, limit int) []byte {
	code, ttl := n.look(name)
	if code != dnsmessage.RCodeSuccess || ttl == nil {
		return q.reply(code, limit)
	}
	address, ok := n.names.address(name)
	if !ok {
		return q.reply(dnsmessage.RCodeRefused, limit)
	}
	return q.reply(code, limit, q.record(*ttl, &dnsmessage.AResource{A: address.As4()}))
}

// look asks the gateway for a name. Success without a time to live: the name has no address.
func (n *network) look(name string) (code dnsmessage.RCode, ttl *uint32) {
	answer := n.asking.ask(name, func() egresswire.Answer {
		return n.inquire(egresswire.Request{Open: egresswire.OpenResolve, Host: name})
	})
	if answer.OK {
		return dnsmessage.RCodeSuccess, &answer.TTL
	}
	return codeOf(answer.Error), nil
}

func codeOf(failure string) dnsmessage.RCode {
	switch failure {
	case egresswire.Denied, egresswire.Limit:
		return dnsmessage.RCodeRefused
	case egresswire.UnknownHost:
		return dnsmessage.RCodeNameError
	case egresswire.NoAddress:
		return dnsmessage.RCodeSuccess
	}
	return dnsmessage.RCodeServerFailure
}

// inquire asks what leaves the slot free again.
func (n *network) inquire(request egresswire.Request) egresswire.Answer {
	slot, answer, err := n.slots.ask(request, lookupSlotWait, lookupWait)
	if err != nil {
		return egresswire.Answer{Error: egresswire.Unavailable}
	}
	n.slots.put(slot)
	return answer
}

// reverse tells whose address one is, of those that were given out here.
func (n *network) reverse(q query, name string, limit int) []byte {
	address, ok := reversed(name)
	if !ok {
		return q.reply(dnsmessage.RCodeNameError, limit)
	}
	host, ok := n.names.name(address)
	target, err := dnsmessage.NewName(host + ".")
	if !ok || err != nil {
		return q.reply(dnsmessage.RCodeNameError, limit)
	}
	return q.reply(dnsmessage.RCodeSuccess, limit, q.record(answerTTL, &dnsmessage.PTRResource{PTR: target}))
}

// reversed reads the address out of a name such as 1.1.18.198.in-addr.arpa.
func reversed(name string) (netip.Addr, bool) {
	digits, ok := strings.CutSuffix(name, ".in-addr.arpa")
	parts := strings.Split(digits, ".")
	if !ok || len(parts) != 4 {
		return netip.Addr{}, false
	}
	var four [4]byte
	for i, part := range parts {
		value, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return netip.Addr{}, false
		}
		four[3-i] = byte(value)
	}
	return netip.AddrFrom4(four), true
}

// pass hands a query of another type to the gateway and back.
func (n *network) pass(q query, message []byte, limit int) []byte {
	answer := n.inquire(egresswire.Request{Open: egresswire.OpenDNS, Message: base64.StdEncoding.EncodeToString(message)})
	if !answer.OK {
		return q.reply(codeOf(answer.Error), limit)
	}
	found, err := base64.StdEncoding.DecodeString(answer.Message)
	if err != nil || !answers(found, q) {
		return q.reply(dnsmessage.RCodeServerFailure, limit)
	}
	binary.BigEndian.PutUint16(found, q.header.ID)
	if len(found) > limit {
		return q.truncated()
	}
	return found
}

// answers tells whether a message is a whole answer to the question.
func answers(message []byte, q query) bool {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || !header.Response {
		return false
	}
	question, err := parser.Question()
	if err != nil || question.Type != q.question.Type || question.Class != q.question.Class ||
		!strings.EqualFold(question.Name.String(), q.question.Name.String()) {
		return false
	}
	return parser.SkipAllQuestions() == nil && parser.SkipAllAnswers() == nil && parser.SkipAllAuthorities() == nil && parser.SkipAllAdditionals() == nil
}

// truncated tells to ask again over TCP.
func (q query) truncated() []byte {
	packed := q.reply(dnsmessage.RCodeSuccess, queryBytesMax)
	if len(packed) > 2 {
		packed[2] |= 1 << 1
	}
	return packed
}

// resolve answers queries on a TCP connection, one after another.
func (n *network) resolve(inside *stream) {
	defer inside.close()
	idle := time.AfterFunc(resolverIdle, inside.abort)
	defer idle.Stop()
	for {
		var length [2]byte
		if _, err := io.ReadFull(inside, length[:]); err != nil {
			return
		}
		message := make([]byte, binary.BigEndian.Uint16(length[:]))
		if len(message) > queryBytesMax {
			return
		}
		if _, err := io.ReadFull(inside, message); err != nil {
			return
		}
		found := n.answer(message, 1<<16-1)
		if found == nil {
			return
		}
		if _, err := inside.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(found))), found...)); err != nil {
			return
		}
		idle.Reset(resolverIdle)
	}
}
