package attached

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"
)

// pieces hands out its bytes in pieces of the given sizes, again and again.
type pieces struct {
	rest  []byte
	sizes []byte
	at    int
}

func (p *pieces) Read(to []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := len(p.rest)
	if len(p.sizes) > 0 {
		n = int(p.sizes[p.at%len(p.sizes)]) + 1
		p.at++
	}
	n = copy(to[:min(n, len(to))], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

var testKey = []byte("the sandbox's ke")

func helloOf(key, nonce []byte) []byte {
	hello := append(append(bytes.Clone(hostMagic), key...), nonce...)
	return binary.BigEndian.AppendUint32(hello, crc32.ChecksumIEEE(hello))
}

func preamble(key, nonce []byte) []byte {
	return append(make([]byte, headerSize+frameBytes), helloOf(key, nonce)...)
}

// FuzzResynchronisation: whatever another host left behind, wherever reads cut it, the next host's hello is found
// and its frames are read whole.
func FuzzResynchronisation(f *testing.F) {
	seed := seedOf([]byte("nonce of another"))
	frame := appendFrame(nil, seed, kindData, 1, bytes.Repeat([]byte("x"), 1000))
	f.Add([]byte{}, []byte{})
	f.Add(frame, []byte{0})
	f.Add(frame[:500], []byte{7, 255})
	f.Add([]byte{2, 1, 0, 0, 0, 0}, []byte{3})
	f.Add(append(bytes.Clone(frame), 2, 0, 255, 255), []byte{200})
	f.Add(hostMagic, []byte{1})
	f.Add(helloOf([]byte("another's key..."), []byte("nonce of another"))[:40], []byte{})
	f.Add(helloOf(testKey, []byte("nonce of another")), []byte{50})
	f.Fuzz(func(t *testing.T, left, sizes []byte) {
		nonce := []byte("a nonce so fresh")
		input := append(bytes.Clone(left), preamble(testKey, nonce)...)
		payload := bytes.Repeat([]byte("data"), 100)
		input = appendFrame(input, seedOf(nonce), kindData, 5, payload)
		r := newReceiver(&pieces{rest: input, sizes: sizes})
		r.key, r.framing, r.seed = testKey, true, seed
		mine, got := false, false
		for {
			m, err := r.next()
			if errors.Is(err, errBroken) {
				if mine {
					t.Fatal("a frame behind the hello is not read")
				}
				continue
			}
			if err != nil {
				break
			}
			if m.nonce != nil {
				mine = bytes.Equal(m.nonce, nonce)
			} else if mine {
				got = m.kind == kindData && m.stream == 5 && bytes.Equal(m.payload, payload)
			}
		}
		if !mine || !got {
			t.Fatalf("hello found %v, frame read %v", mine, got)
		}
	})
}

func TestNeitherAnotherKeyNorAFrameOfAnotherSessionIsTaken(t *testing.T) {
	first, second := []byte("nonce number one"), []byte("nonce number two")
	input := preamble(testKey, first)
	input = append(input, preamble([]byte("not the same key"), second)...)
	input = append(input, preamble(testKey, second)...)
	input = appendFrame(input, seedOf(second), kindPing, 0, nil)
	input = appendFrame(input, seedOf(first), kindPing, 0, nil)
	r := newReceiver(bytes.NewReader(input))
	var seen []string
	for {
		m, err := r.next()
		switch {
		case errors.Is(err, errBroken):
			seen = append(seen, "broken")
			continue
		case err != nil:
		case m.nonce != nil:
			seen = append(seen, string(m.nonce))
			continue
		default:
			seen = append(seen, "frame")
			continue
		}
		break
	}
	want := []string{string(first), "broken", string(second), "frame", "broken"}
	if len(seen) != len(want) {
		t.Fatalf("%q", seen)
	}
	for i := range want {
		if seen[i] != want[i] {
			t.Errorf("%q", seen)
		}
	}
}

func TestAHelloAmongBytesThatWereNoFrameIsFound(t *testing.T) {
	nonce := []byte("a nonce so fresh")
	// As where another's last bytes come in between and claim what follows for a frame of theirs.
	r := newReceiver(bytes.NewReader(appendFrame(nil, 1, kindData, 1, helloOf(testKey, nonce))))
	r.key, r.framing, r.seed = testKey, true, 2
	if _, err := r.next(); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if m, err := r.next(); err != nil || !bytes.Equal(m.nonce, nonce) {
		t.Errorf("%v %v", m, err)
	}
}
