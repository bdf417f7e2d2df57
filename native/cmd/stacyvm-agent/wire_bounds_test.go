package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
)

func TestAMessageOneByteLongerThanItsBoundIsRefusedByName(t *testing.T) {
	const most = 4096
	a, ctx := start(t, "--max-message-bytes", fmt.Sprint(most)), context.Background()
	// Padding that makes a message exactly so long; the length of its own length is constant here.
	padded := func(message proto.Message, set func(padding int), size int) {
		set(1000)
		set(1000 + size - proto.Size(message))
	}
	for size, fits := range map[int]bool{most: true, most + 1: false} {
		execute := &guestv1.ExecRequest{Argv: []string{"true"}}
		padded(execute, func(n int) { execute.Stdin = make([]byte, n) }, size)
		write := &guestv1.WriteStdinRequest{ProcessId: "none"}
		padded(write, func(n int) { write.Data = make([]byte, n) }, size)
		dial := &guestv1.DialRequest{Message: &guestv1.DialRequest_Data{}}
		padded(dial, func(n int) { dial.Message = &guestv1.DialRequest_Data{Data: make([]byte, n)} }, size)

		stream := a.guest.Dial(ctx)
		sendErr := stream.Send(dial)
		_, dialErr := stream.Receive()
		_ = stream.CloseRequest()
		_ = stream.CloseResponse()
		_, writeErr := a.guest.WriteStdin(ctx, connect.NewRequest(write))
		for name, err := range map[string]error{"a server's stream": a.exec(execute).err, "a single call": writeErr, "both ways": dialErr} {
			if proto.Size(execute) != size || proto.Size(write) != size || proto.Size(dial) != size {
				t.Fatalf("%d, %d, %d bytes", proto.Size(execute), proto.Size(write), proto.Size(dial))
			}
			if fits && connect.CodeOf(err) == connect.CodeResourceExhausted {
				t.Errorf("%s at its bound: %v, %v", name, err, sendErr)
			}
			if !fits {
				exhausted(t, "message-bytes of "+name, err)
			}
		}
	}
}

func TestAFileOfTheKernelOneByteLongerThanItsBoundIsRefused(t *testing.T) {
	const most = 4 << 20
	a := start(t)
	// The kernel shows a command line of any length; it takes a large stack to have one.
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &before); err != nil {
		t.Fatal(err)
	}
	large := before
	large.Cur = min(before.Max, 64<<20)
	if err := unix.Setrlimit(unix.RLIMIT_STACK, &large); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_STACK, &before) }()
	for size, status := range map[int]int{most: 200, most + 1: 429} {
		args := []string{"sh", "-c", "read x", ""}
		for left := size - len("sh\x00-c\x00read x\x00\x00"); left > 0; {
			n := min(left, 100<<10)
			args, left = append(args, strings.Repeat("x", n-1)), left-n
		}
		command := exec.Command(args[0], args[1:]...)
		input, err := command.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Skipf("no command line is so long here: %v", err)
		}
		got, _, body := a.do("GET", fmt.Sprintf("/proc/%d/cmdline", command.Process.Pid), nil)
		if got != status || status == 200 && len(body) != most || status == 429 && !strings.Contains(string(body), "kernel-file-bytes") {
			t.Errorf("%d bytes: %d, %d %.200s", size, got, len(body), body)
		}
		_ = input.Close()
		_ = command.Wait()
	}
}

func TestOneMemberTooManyOfATreeIsCountedAndNotTold(t *testing.T) {
	const most = 256
	// One agent: beside one another in one pid namespace, two of them take each other's trees for their own.
	a := start(t)
	for children, told := range map[int]int{most - 1: most, most: most} {
		func() {
			stream, err := a.guest.Exec(context.Background(), connect.NewRequest(&guestv1.ExecRequest{
				Argv: []string{"sh", "-c", fmt.Sprintf("i=0; while [ $i -lt %d ]; do sleep 10 & i=$((i+1)); done; wait", children)},
			}))
			if err != nil || !stream.Receive() {
				t.Fatal(err)
			}
			request := &guestv1.GetProcessRequest{ProcessId: stream.Msg().GetStart().ProcessId}
			eventually(t, "all of them are counted", func() bool {
				answer, err := a.guest.GetProcess(context.Background(), connect.NewRequest(request))
				return err == nil && int(answer.Msg.Process.Processes) > children && len(answer.Msg.Members) == told
			})
			_ = stream.Close()
			eventually(t, "the tree ends", func() bool { return a.find(request.ProcessId).Processes == 0 })
		}()
	}
}

// Frames of HTTP/2, as far as this needs them.
const (
	frameHeaders, frameReset, frameSettings, frameGoAway = 1, 3, 4, 7
	flagAck, flagEndHeaders                              = 1, 4
	protocolError                                        = 1
)

func writeFrame(to io.Writer, kind, flags byte, stream uint32, payload []byte) error {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = binary.BigEndian.AppendUint32(append(head, flags), stream)
	_, err := to.Write(append(head, payload...))
	return err
}

func readFrame(from io.Reader) (kind byte, stream uint32, payload []byte, err error) {
	var head [9]byte
	if _, err = io.ReadFull(from, head[:]); err != nil {
		return
	}
	payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(from, payload)
	return head[3], binary.BigEndian.Uint32(head[5:]) & (1<<31 - 1), payload, err
}

func TestOneStreamTooManyOnAConnectionIsRefused(t *testing.T) {
	const most = 1000
	a := start(t)
	conn, err := a.dial(context.Background(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := writeFrame(conn, frameSettings, 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	awaitSettings(t, conn, most)
	// POST http://a/init whose body never comes, by HPACK's static table and literals that nobody has to remember.
	request := bytes.Join([][]byte{{0x83, 0x86, 0x04, 5}, []byte("/init"), {0x01, 1}, []byte("a")}, nil)
	for i := range uint32(most + 1) {
		if err := writeFrame(conn, frameHeaders, flagEndHeaders, 2*i+1, request); err != nil {
			t.Fatal(err)
		}
	}
	for {
		kind, stream, payload, err := readFrame(conn)
		if err != nil {
			t.Fatalf("nothing was refused: %v", err)
		}
		if kind == frameGoAway {
			t.Fatalf("the connection was ended: %q", payload)
		}
		if kind != frameReset {
			continue
		}
		if stream != 2*most+1 || binary.BigEndian.Uint32(payload) != protocolError {
			t.Errorf("stream %d is reset with %d", stream, binary.BigEndian.Uint32(payload))
		}
		break
	}
}

// awaitSettings reads the server's settings, which tell the bound, and waits until ours are known there.
func awaitSettings(t *testing.T, conn net.Conn, most uint32) {
	t.Helper()
	const maxConcurrentStreams = 3
	told := false
	for {
		kind, _, payload, err := readFrame(conn)
		if err != nil {
			t.Fatal(err)
		}
		if kind == frameSettings && len(payload) == 0 {
			break
		}
		for ; kind == frameSettings && len(payload) >= 6; payload = payload[6:] {
			if binary.BigEndian.Uint16(payload) == maxConcurrentStreams {
				told = binary.BigEndian.Uint32(payload[2:]) == most
			}
		}
	}
	if !told {
		t.Errorf("the bound of %d is not told", most)
	}
	if err := writeFrame(conn, frameSettings, flagAck, 0, nil); err != nil {
		t.Fatal(err)
	}
}
