package play

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tmms/media/rtmp"
)

const (
	dialTimeout   = 10 * time.Second
	receiveBuffer = 1 << 20
)

// target is where the viewers connect to and how they ask.
type target struct {
	address string // host:port
	name    string // of the server, for TLS; "": without TLS
	request []byte // HTTP only, nil for RTMP
	rtmp    rtmp.URL
	ts      bool // MPEG-TS: can be drained only
}

// parseTargets gives the target of each stream: s itself if there is one, else
// with -1, -2 ... behind the name.
func parseTargets(s string, streams int) ([]target, error) {
	if streams == 1 {
		t, err := parseTarget(s)
		return []target{t}, err
	}
	base, ext := s, ""
	for _, e := range []string{".flv", ".ts"} {
		if b, ok := strings.CutSuffix(s, e); ok {
			base, ext = b, e
		}
	}
	list := make([]target, streams)
	for i := range list {
		t, err := parseTarget(fmt.Sprintf("%s-%d%s", base, i+1, ext))
		if err != nil {
			return nil, err
		}
		list[i] = t
	}
	return list, nil
}

func parseTarget(s string) (target, error) {
	if strings.HasPrefix(s, "rtmp://") || strings.HasPrefix(s, "rtmps://") {
		u, err := rtmp.ParseURL(s)
		if err != nil {
			return target{}, err
		}
		t := target{address: u.Address(), rtmp: u}
		if u.TLS {
			t.name = u.Host
		}
		return t, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return target{}, fmt.Errorf("play: %w", err)
	}
	standard := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	ts := strings.HasSuffix(u.Path, ".ts")
	if standard == "" || !ts && !strings.HasSuffix(u.Path, ".flv") {
		return target{}, fmt.Errorf("play: %q is not rtmp(s):// or http(s)://.../NAME.flv or NAME.ts", s)
	}
	port := cmp.Or(u.Port(), standard)
	// HTTP/1.0, so that no server puts the stream into chunks.
	head := "GET " + u.RequestURI() + " HTTP/1.0\r\nHost: " + u.Host + "\r\nUser-Agent: tmms-bench\r\n\r\n"
	t := target{address: net.JoinHostPort(u.Hostname(), port), request: []byte(head), ts: ts}
	if u.Scheme == "https" {
		t.name = u.Hostname()
	}
	return t, nil
}

// viewer is one connection. It belongs to the goroutine that dials, then to the loop.
type viewer struct {
	fd     int
	stream stream             // nil: drain
	see    func(signalPacket) // of a checked viewer
	ok     bool               // a drained HTTP viewer: the response was seen to be 200
	closed bool
	began  time.Time // when it began to connect
}

// maxRedirects bounds how often a viewer is sent on before it plays.
const maxRedirects = 3

// redirectError is a refusal that says where to ask instead.
type redirectError struct {
	url string
	err error // the refusal
}

func (e *redirectError) Error() string { return e.err.Error() }
func (e *redirectError) Unwrap() error { return e.err }

// dial connects and asks to play, where it is sent to if it is; it returns when an
// RTMP server has accepted.
func (t target) dial(ctx context.Context, source int, verify bool) (*viewer, error) {
	for hop := 0; ; hop++ {
		v, err := t.dialOnce(ctx, source, verify)
		to, redirected := errors.AsType[*redirectError](err)
		if !redirected || hop == maxRedirects {
			return v, err
		}
		if t, err = parseTarget(to.url); err != nil {
			return nil, errors.Join(to, err)
		}
	}
}

func (t target) dialOnce(ctx context.Context, source int, verify bool) (*viewer, error) {
	d := net.Dialer{Timeout: dialTimeout}
	if source > 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(source+1))}
	}
	v := &viewer{began: time.Now()}
	c, err := d.DialContext(ctx, "tcp", t.address)
	if err != nil {
		return nil, fmt.Errorf("play: %w", err)
	}
	if err := errors.Join(c.SetDeadline(time.Now().Add(dialTimeout)), t.begin(ctx, c, v, verify)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return v, v.take(c, receiveBuffer)
}

// begin asks to play, over TLS if the target says so.
func (t target) begin(ctx context.Context, c net.Conn, v *viewer, verify bool) error {
	if t.name == "" {
		return t.ask(c, v, verify)
	}
	conn, w, err := secure(ctx, c, t.name)
	if err != nil {
		return err
	}
	if err := t.ask(conn, v, verify); err != nil {
		return err
	}
	if v.stream != nil {
		v.stream = &tlsStream{conn: conn, wire: w, next: v.stream, buf: make([]byte, 16<<10)}
		return nil
	}
	if !v.ok {
		v.ok = true
		return began(conn)
	}
	return nil
}

func (t target) ask(c net.Conn, v *viewer, verify bool) error {
	if t.request != nil {
		if verify && !t.ts {
			v.stream = &flvStream{}
		}
		_, err := c.Write(t.request)
		return err
	}
	v.ok = true
	conn := rtmp.NewClientConn(rtmp.ClientConfig{URL: t.rtmp, Role: rtmp.RolePlay})
	if verify {
		v.stream = &rtmpStream{conn: conn}
	}
	return ready(c, conn)
}

// ready runs the handshake and the commands up to the server's acceptance. It
// reads a little at a time, so that no media is taken in that a check would miss.
func ready(c net.Conn, conn *rtmp.ClientConn) error {
	b := make([]byte, 1)
	for {
		if out := conn.Output(); len(out) > 0 {
			if _, err := c.Write(out); err != nil {
				return fmt.Errorf("play: %w", err)
			}
			conn.Sent(len(out))
		}
		n, err := c.Read(b)
		if err != nil {
			return fmt.Errorf("play: handshake: %w", err)
		}
		_, ev, err := conn.Feed(b[:n])
		switch {
		case err != nil:
			return fmt.Errorf("play: %w", err)
		case ev.Kind == rtmp.EventReady:
			return nil
		case ev.Kind == rtmp.EventRefused:
			err := fmt.Errorf("play: refused: %s: %s", ev.Status.Code, ev.Status.Description)
			if ev.Status.Redirect != "" {
				return &redirectError{ev.Status.Redirect, err}
			}
			return err
		}
	}
}

// take makes c's socket the viewer's own, non-blocking, with a receive buffer of
// so many bytes.
func (v *viewer) take(c net.Conn, buffer int) error {
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return fmt.Errorf("play: %w", err)
	}
	v.fd, err = unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("play: %w", err)
	}
	if err = unix.SetNonblock(v.fd, true); err == nil {
		err = unix.SetsockoptInt(v.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	return os.NewSyscallError("setsockopt", err)
}
