package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/sys/unix"

	guestv1 "stacyvm/native/gen/stacyvm/guest/v1"
	"stacyvm/native/internal/fault"
	"stacyvm/native/internal/path"
)

// dialTimeout bounds how long a connection inside may take to stand.
const dialTimeout = 10 * time.Second

// halfCloser is what TCP and unix connections share.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// connectTo connects to a port of the loopback or to a unix socket; free must be called at the end.
func (s *Server) connectTo(ctx context.Context, port uint32, unixPath string) (conn halfCloser, free func(), err error) {
	if unixPath == "" && port != 0 && port == s.ownPort {
		return nil, nil, fault.New(fault.Unavailable, "port %d is the agent's own", port)
	}
	select {
	case s.dials <- struct{}{}:
	default:
		return nil, nil, fault.Exceeds("dials", s.limits.Dials)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if unixPath != "" {
		conn, err = dialUnix(ctx, unixPath)
	} else {
		conn, err = dialPort(ctx, port)
	}
	if err != nil {
		<-s.dials
		return nil, nil, err
	}
	return conn, func() { _ = conn.Close(); <-s.dials }, nil
}

func dialPort(ctx context.Context, port uint32) (halfCloser, error) {
	if port < 1 || port > 65535 {
		return nil, fault.New(fault.Invalid, "port must be from 1 to 65535")
	}
	var dialer net.Dialer
	var last error
	for _, host := range []string{"127.0.0.1", "::1"} {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
		if err == nil {
			return conn.(*net.TCPConn), nil
		}
		if last == nil {
			last = err
		}
	}
	return nil, &fault.Error{Kind: fault.Unavailable, Message: fmt.Sprintf("port %d: nothing listens", port), Cause: last}
}

// dialUnix finds the socket by the agent's own walk: connect(2) by path would follow kernel links.
func dialUnix(ctx context.Context, name string) (halfCloser, error) {
	place, err := path.Find(name, true)
	if err != nil {
		return nil, err
	}
	defer place.Close()
	fd, err := unix.Openat(place.Fd(), place.Name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fault.At(name, err)
	}
	defer func() { _ = unix.Close(fd) }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return nil, fault.New(fault.Invalid, "%s: is not a socket", name)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", "/proc/self/fd/"+strconv.Itoa(fd))
	if err != nil {
		return nil, &fault.Error{Kind: fault.Unavailable, Message: name + ": nothing listens", Cause: err}
	}
	return conn.(*net.UnixConn), nil
}

func (g *guest) Dial(ctx context.Context, stream *connect.BidiStream[guestv1.DialRequest, guestv1.DialResponse]) error {
	first, err := stream.Receive()
	if err != nil {
		return err
	}
	target := first.GetTarget()
	if target == nil {
		return connectError(fault.New(fault.Invalid, "the first message must name the target"))
	}
	conn, free, err := g.connectTo(ctx, target.GetPort(), target.GetUnixPath())
	if err != nil {
		return connectError(err)
	}
	defer free()
	if err := stream.Send(&guestv1.DialResponse{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	go func() {
		for {
			message, err := stream.Receive()
			if err != nil {
				if errors.Is(err, io.EOF) {
					_ = conn.CloseWrite()
				} else {
					_ = conn.Close()
				}
				return
			}
			if _, err := conn.Write(message.GetData()); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			if err := stream.Send(&guestv1.DialResponse{Data: buf[:n]}); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return connectError(fault.New(fault.Unavailable, "the connection broke: %s", err))
		}
	}
}

// dialUpgrade answers GET /dial?port=N or ?unix=/path with 101, then carries raw bytes both ways.
func (s *Server) dialUpgrade(w http.ResponseWriter, r *http.Request) {
	if !asksFor(w, r, dialProtocol) {
		return
	}
	port, err := strconv.ParseUint(r.URL.Query().Get("port"), 10, 16)
	name := r.URL.Query().Get("unix")
	if err != nil && name == "" {
		httpError(w, fault.New(fault.Invalid, "port (1 to 65535) or unix must be given"))
		return
	}
	conn, free, err := s.connectTo(r.Context(), uint32(port), name)
	if err != nil {
		httpError(w, err)
		return
	}
	defer free()
	host, early, err := upgrade(w, dialProtocol)
	if err != nil {
		return
	}
	defer func() { _ = host.Close() }()
	half, ok := host.(halfCloser)
	if !ok {
		return
	}
	if _, err := conn.Write(early); err != nil {
		return
	}
	join(conn, half, time.Duration(s.limits.DialLingerMs)*time.Millisecond)
}
