// Package attached carries many connections over one byte stream in each direction: all that an engine hands out of a
// container is its first process's stdin and stdout, and whoever attaches may come after another who left amid a frame.
//
// A host begins with as many zeros as the longest frame has, so that a frame which another left unfinished ends in
// them, and a hello of 52 bytes: magic (16), the sandbox's key (16), a fresh nonce (16), CRC-32 of those. The agent
// answers with its magic (16) and the nonce; everything before is another session's. From there on both sides send
// frames: kind (1 byte), length of the payload (3), stream (4), CRC-32 (4) of the header's first 8 bytes and the
// payload, begun at the nonce's CRC-32. Numbers are big-endian. The first key that comes is the only one taken later.
package attached

import (
	"encoding/binary"
	"hash/crc32"
)

// kind of a frame. Only the host opens streams; a stream's number is greater than every one before it.
type kind byte

const (
	kindOpen   kind = 1
	kindData   kind = 2
	kindEnd    kind = 3 // no more bytes from the sender
	kindClose  kind = 4 // nor does it read any more
	kindWindow kind = 5 // the payload is how many more bytes the sender takes, 4 bytes
	kindPing   kind = 6
	kindPong   kind = 7
	kindLost   kind = 8 // the sender could not read a frame: the session is over
)

const (
	headerSize = 12
	// frameBytes is the longest payload of a frame.
	frameBytes = 64 << 10
	// windowBytes is how much one stream's sender may be ahead of its reader.
	windowBytes = 256 << 10
	// maxStreams bounds the connections of one session.
	maxStreams = 512
	helloSize  = 52
	keySize    = 16
)

// Neither's first byte is that of a frame.
var (
	hostMagic  = []byte("\xf7stacyvm-host-v1")
	agentMagic = []byte("\xf7stacyvm-door-v1")
)

func (k kind) known() bool { return k >= kindOpen && k <= kindLost }

func seedOf(nonce []byte) uint32 { return crc32.ChecksumIEEE(nonce) }

// appendFrame appends a whole frame.
func appendFrame(to []byte, seed uint32, k kind, stream uint32, payload []byte) []byte {
	start := len(to)
	to = binary.BigEndian.AppendUint32(to, uint32(k)<<24|uint32(len(payload)))
	to = binary.BigEndian.AppendUint32(to, stream)
	sum := crc32.Update(crc32.Update(seed, crc32.IEEETable, to[start:]), crc32.IEEETable, payload)
	to = binary.BigEndian.AppendUint32(to, sum)
	return append(to, payload...)
}
