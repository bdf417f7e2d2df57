package resolve

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// asked is a query as a resolver of the tests saw it.
type asked struct {
	dnsmessage.Question
	id      uint16
	from    string
	overTCP bool
}

func (a asked) name() string {
	return strings.ToLower(strings.TrimSuffix(a.Name.String(), "."))
}

// resolver answers with whatever messages a handler returns; over UDP there may be many, over TCP there is one.
type resolver struct {
	at netip.AddrPort

	mu   sync.Mutex
	seen []asked
}

func (r *resolver) all() []asked {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]asked(nil), r.seen...)
}

// count tells how often a type was asked for.
func (r *resolver) count(kind dnsmessage.Type) int {
	count := 0
	for _, question := range r.all() {
		if question.Type == kind {
			count++
		}
	}
	return count
}

func startResolver(t testing.TB, handle func(asked) [][]byte) *resolver {
	t.Helper()
	packets, stream := bothAt(t)
	r := &resolver{at: packets.LocalAddr().(*net.UDPAddr).AddrPort()}
	t.Cleanup(func() { _, _ = packets.Close(), stream.Close() })
	answer := func(query []byte, from string, overTCP bool) [][]byte {
		var parser dnsmessage.Parser
		header, err := parser.Start(query)
		if err != nil {
			t.Error(err)
			return nil
		}
		question, err := parser.Question()
		if err != nil {
			t.Error(err)
			return nil
		}
		seen := asked{question, header.ID, from, overTCP}
		r.mu.Lock()
		r.seen = append(r.seen, seen)
		r.mu.Unlock()
		return handle(seen)
	}
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			query := append([]byte(nil), buffer[:n]...)
			go func() {
				for _, message := range answer(query, from.String(), false) {
					_, _ = packets.WriteTo(message, from)
				}
			}()
		}
	}()
	go func() {
		for {
			conn, err := stream.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var length [2]byte
				if _, err := io.ReadFull(conn, length[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(conn, query); err != nil {
					return
				}
				for _, message := range answer(query, conn.RemoteAddr().String(), true) {
					_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
				}
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return r
}

// bothAt listens over UDP and TCP on one port.
func bothAt(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 100 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		stream, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, stream
		}
		_ = packets.Close()
	}
	t.Fatal("no port is free for both")
	return nil, nil
}

// reply builds an answer; records are "name TYPE value ttl".
func reply(a asked, change func(*dnsmessage.Message), records ...string) []byte {
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: a.id, Response: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{a.Question},
	}
	for _, text := range records {
		fields := strings.Fields(text)
		ttl := uint32(60)
		if len(fields) > 3 {
			ttl = 0
			for _, digit := range fields[3] {
				ttl = ttl*10 + uint32(digit-'0')
			}
		}
		record := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(fields[0] + "."), Class: dnsmessage.ClassINET, TTL: ttl}}
		switch fields[1] {
		case "A":
			record.Body = &dnsmessage.AResource{A: netip.MustParseAddr(fields[2]).As4()}
		case "AAAA":
			record.Body = &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(fields[2]).As16()}
		case "CNAME":
			record.Body = &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(fields[2] + ".")}
		case "TXT":
			record.Body = &dnsmessage.TXTResource{TXT: []string{fields[2]}}
		case "SOA":
			root := dnsmessage.MustNewName(".")
			record.Body = &dnsmessage.SOAResource{NS: root, MBox: root, MinTTL: ttl}
			message.Authorities = append(message.Authorities, record)
			continue
		}
		message.Answers = append(message.Answers, record)
	}
	if change != nil {
		change(&message)
	}
	packed, err := message.Pack()
	if err != nil {
		panic(err)
	}
	return packed
}

// only answers A with these records and AAAA with nothing.
func only(records ...string) func(asked) [][]byte {
	return func(a asked) [][]byte {
		if a.Type != dnsmessage.TypeA {
			return [][]byte{reply(a, nil)}
		}
		return [][]byte{reply(a, nil, records...)}
	}
}

func always() bool { return true }
