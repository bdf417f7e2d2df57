package resolve

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// totalTimeout bounds a question with everything that it takes: other resolvers, TCP after a truncated answer.
const totalTimeout = 2800 * time.Millisecond

// minAttempts and maxAttempts bound how many times a question is sent.
const (
	minAttempts = 2
	maxAttempts = 4
)

// askedBytes is what fits a datagram on every path without being cut into fragments: what resolvers are asked to keep to.
const askedBytes = 1232

// datagramBytes is what is taken of those that don't.
const datagramBytes = 4096

// messageBytes is the longest answer that is taken over TCP.
const messageBytes = 16 << 10

// exchange asks one resolver after the other until one answers that the name exists or doesn't.
func exchange(ctx context.Context, resolvers []netip.AddrPort, question dnsmessage.Question) ([]byte, error) {
	if len(resolvers) == 0 {
		return nil, errors.New("no resolver is configured")
	}
	attempts := min(max(len(resolvers), minAttempts), maxAttempts)
	var failures []error
	for i := range attempts {
		message, err := attempt(ctx, resolvers[i%len(resolvers)], question, totalTimeout/time.Duration(attempts))
		if err == nil {
			return message, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failures...)
}

func attempt(ctx context.Context, resolver netip.AddrPort, question dnsmessage.Question, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	message, header, err := over(ctx, "udp", resolver, question)
	if err == nil && header.Truncated {
		message, header, err = over(ctx, "tcp", resolver, question)
	}
	switch {
	case err != nil:
		return nil, err
	case header.RCode != dnsmessage.RCodeSuccess && header.RCode != dnsmessage.RCodeNameError:
		return nil, fmt.Errorf("%s answers %s", resolver, header.RCode)
	}
	return message, nil
}

// over asks on a socket of its own, whose port the kernel draws, and takes an answer from the resolver's address alone.
func over(ctx context.Context, network string, resolver netip.AddrPort, question dnsmessage.Question) ([]byte, dnsmessage.Header, error) {
	none := dnsmessage.Header{}
	query, id, err := pack(question)
	if err != nil {
		return nil, none, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, resolver.String())
	if err != nil {
		return nil, none, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	}
	if _, err := conn.Write(query); err != nil {
		return nil, none, err
	}
	if network == "tcp" {
		message, err := readStream(conn)
		if err != nil {
			return nil, none, err
		}
		header, ok := answers(message, id, question)
		if !ok || header.Truncated {
			return nil, none, fmt.Errorf("%s answers something else", resolver)
		}
		return message, header, nil
	}
	buffer := make([]byte, datagramBytes)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return nil, none, err
		}
		// Whoever guesses the port still has to guess the id; the true answer is waited for.
		if header, ok := answers(buffer[:n], id, question); ok {
			return buffer[:n], header, nil
		}
	}
}

func readStream(conn net.Conn) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(length[:]))
	if size > messageBytes {
		return nil, fmt.Errorf("an answer of %d bytes, %d are taken", size, messageBytes)
	}
	message := make([]byte, size)
	_, err := io.ReadFull(conn, message)
	return message, err
}

func pack(question dnsmessage.Question) ([]byte, uint16, error) {
	var random [2]byte
	_, _ = rand.Read(random[:])
	id := binary.BigEndian.Uint16(random[:])
	builder := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	var options dnsmessage.ResourceHeader
	err := errors.Join(
		builder.StartQuestions(),
		builder.Question(question),
		builder.StartAdditionals(),
		options.SetEDNS0(askedBytes, dnsmessage.RCodeSuccess, false),
		builder.OPTResource(options, dnsmessage.OPTResource{}),
	)
	if err != nil {
		return nil, 0, err
	}
	query, err := builder.Finish()
	return query, id, err
}

// answers tells whether a message is an answer to this question.
func answers(message []byte, id uint16, question dnsmessage.Question) (dnsmessage.Header, bool) {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || !header.Response || header.ID != id || header.OpCode != 0 {
		return header, false
	}
	echoed, err := parser.AllQuestions()
	if err != nil || len(echoed) != 1 {
		return header, false
	}
	asked := echoed[0]
	return header, asked.Type == question.Type && asked.Class == question.Class &&
		strings.EqualFold(asked.Name.String(), question.Name.String())
}
