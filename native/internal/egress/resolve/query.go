package resolve

import (
	"context"
	"encoding/binary"
	"errors"

	"golang.org/x/net/dns/dnsmessage"

	"stacyvm/native/internal/egresswire"
)

// Query is a sandbox's own DNS query, for another type than addresses.
type Query struct {
	// Name is the name it asks for, as names are compared.
	Name string

	id       uint16
	recursed bool
	question dnsmessage.Question
}

const (
	typeIXFR = 251
	typeSVCB = 64
)

// ReadQuery reads a query and refuses what isn't one, and types that are answered elsewhere or are more than an answer.
func ReadQuery(message []byte) (Query, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil {
		return Query{}, err
	}
	if header.Response || header.OpCode != 0 {
		return Query{}, errors.New("no query")
	}
	questions, err := parser.AllQuestions()
	if err != nil || len(questions) != 1 || questions[0].Class != dnsmessage.ClassINET {
		return Query{}, errors.New("a query has one question, of class IN")
	}
	question := questions[0]
	switch question.Type {
	case dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeHTTPS, typeSVCB, dnsmessage.TypePTR:
		return Query{}, errors.New("addresses are asked for by name")
	case dnsmessage.TypeALL, dnsmessage.TypeAXFR, typeIXFR, dnsmessage.TypeOPT:
		return Query{}, errors.New("a type that is no type of a record")
	}
	name, ok := egresswire.Name(question.Name.String())
	if !ok {
		return Query{}, errors.New("no name")
	}
	return Query{Name: name, id: header.ID, recursed: header.RecursionDesired, question: question}, nil
}

// Empty answers that the name has nothing of this type, without asking anybody.
func (q Query) Empty() ([]byte, error) { return q.reply(false) }

// Forward asks the resolvers, and answers what they do; an answer that is too long for the wire as a truncated one.
func (c *Client) Forward(ctx context.Context, query Query) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, totalTimeout)
	defer cancel()
	if !c.enter(ctx) {
		return nil, ctx.Err()
	}
	defer c.leave()
	c.mu.Lock()
	resolvers := c.resolvers
	c.mu.Unlock()
	message, err := exchange(ctx, resolvers, query.question)
	if err != nil {
		return nil, err
	}
	if len(message) > egresswire.MessageBytes {
		return query.reply(true)
	}
	binary.BigEndian.PutUint16(message, query.id)
	return message, nil
}

func (q Query) reply(truncated bool) ([]byte, error) {
	builder := dnsmessage.NewBuilder(nil, dnsmessage.Header{
		ID: q.id, Response: true, RecursionDesired: q.recursed, RecursionAvailable: true, Truncated: truncated,
	})
	if err := errors.Join(builder.StartQuestions(), builder.Question(q.question)); err != nil {
		return nil, err
	}
	return builder.Finish()
}
