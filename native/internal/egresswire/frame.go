package egresswire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// frameBytes is the longest JSON of a frame.
const frameBytes = 16 << 10

// MessageBytes is the longest DNS message that fits a frame in base64.
const MessageBytes = 12_000

// frameTimeout bounds a frame from its first byte on, read or written.
const frameTimeout = 10 * time.Second

// ErrFrame is what every malformed frame is, whatever else its error says.
var ErrFrame = errors.New("malformed frame")

// ReadRequest waits for a request and reads it, and not a byte more. A well-framed request that can't be understood is
// an ErrFrame too: it deserves the answer Invalid.
func ReadRequest(conn net.Conn) (Request, error) {
	var request Request
	payload, err := readTimed(conn)
	if err != nil {
		return request, err
	}
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		return Request{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Request{}, fmt.Errorf("%w: something behind the request", ErrFrame)
	}
	return request, nil
}

// ReadAnswer waits for an answer and reads it, and not a byte more. A gateway may be newer than the agent: members that
// aren't known are let be.
func ReadAnswer(conn net.Conn) (Answer, error) {
	var answer Answer
	payload, err := readTimed(conn)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(payload, &answer); err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	if answer.OK == (answer.Error != "") {
		return Answer{}, fmt.Errorf("%w: an answer is ok or an error", ErrFrame)
	}
	return answer, nil
}

// Write sends a Request or an Answer in one write.
func Write(conn net.Conn, message any) error {
	payload, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(payload) > frameBytes {
		return fmt.Errorf("%w: %d bytes, a frame takes %d", ErrFrame, len(payload), frameBytes)
	}
	if err := conn.SetWriteDeadline(time.Now().Add(frameTimeout)); err != nil {
		return err
	}
	frame := append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(payload)), uint16(len(payload))), payload...)
	if _, err := conn.Write(frame); err != nil {
		return err
	}
	return conn.SetWriteDeadline(time.Time{})
}

// readTimed waits for a frame's first byte for as long as the connection's own deadline lets it, for its others not.
func readTimed(conn net.Conn) ([]byte, error) {
	var header [2]byte
	if _, err := io.ReadFull(conn, header[:1]); err != nil {
		return nil, err
	}
	if err := conn.SetReadDeadline(time.Now().Add(frameTimeout)); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(conn, header[1:]); err != nil {
		return nil, cut(err)
	}
	length := int(binary.BigEndian.Uint16(header[:]))
	if length > frameBytes {
		return nil, fmt.Errorf("%w: %d bytes, a frame takes %d", ErrFrame, length, frameBytes)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(conn, payload); err != nil {
		return nil, cut(err)
	}
	return payload, conn.SetReadDeadline(time.Time{})
}

// cut tells an end inside of a frame from one between two.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
