package crowd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// viewer is one of a crowd. It belongs to one goroutine.
type viewer struct {
	proto  string
	edge   Edge
	stream string // APP/STREAM
	local  net.Addr
	stays  bool
	conn   net.Conn // nil: none is open
	r      *bufio.Reader
}

// readSize is a viewer's read buffer, in bytes: there are thousands.
const readSize = 8 << 10

// watch connects and returns at the first picture.
func (v *viewer) watch(ctx context.Context) error {
	switch v.proto {
	case "flv":
		return v.watchFLV(ctx)
	case "rtmp":
		return v.watchRTMP(ctx)
	}
	return v.watchHLS(ctx)
}

func (v *viewer) dial(ctx context.Context, addr string) error {
	d := net.Dialer{LocalAddr: v.local}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	v.conn, v.r = conn, bufio.NewReaderSize(conn, readSize)
	deadline, _ := ctx.Deadline()
	return conn.SetDeadline(deadline)
}

func (v *viewer) close() {
	if v.conn != nil {
		_ = v.conn.Close()
		v.conn = nil
	}
}

// remain reads on until stay ends.
func (v *viewer) remain(stay context.Context) {
	if v.conn == nil {
		return
	}
	_ = v.conn.SetDeadline(time.Time{})
	stop := context.AfterFunc(stay, func() { _ = v.conn.Close() })
	defer stop()
	_, _ = io.Copy(io.Discard, v.r)
}

// errStatus is an answer that is no success.
var errStatus = errors.New("crowd: the server answered")

// get asks for a file on the viewer's connection.
func (v *viewer) get(file string) (*http.Response, error) {
	if _, err := fmt.Fprintf(v.conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", file, v.edge.HTTP); err != nil {
		return nil, err
	}
	return http.ReadResponse(v.r, nil)
}

func (v *viewer) watchFLV(ctx context.Context) error {
	if err := v.dial(ctx, v.edge.HTTP); err != nil {
		return err
	}
	answer, err := v.get("/" + v.stream + ".flv") //nolint:bodyclose // it ends with the connection, remain reads on
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%w %s", errStatus, answer.Status)
	}
	v.r = bufio.NewReaderSize(answer.Body, readSize)
	b := make([]byte, 0, readSize)
	for begun := false; ; {
		if b, err = more(v.r, b); err != nil {
			return err
		}
		if !begun {
			_, n, err := flv.ParseHeader(b)
			if err != nil {
				continue
			}
			b, begun = b[n:], true
		}
		found, rest := findKey(b)
		if found {
			return nil
		}
		b = rest
	}
}

// more reads what there is behind b.
func more(r io.Reader, b []byte) ([]byte, error) {
	if len(b) > media.MaxMessageVideo {
		return nil, fmt.Errorf("crowd: %d bytes without a whole tag", len(b))
	}
	var next [readSize]byte
	n, err := r.Read(next[:])
	if n > 0 {
		return append(b, next[:n]...), nil
	}
	return b, err
}

// findKey looks for a keyframe among the whole tags of b.
func findKey(b []byte) (found bool, rest []byte) {
	for {
		tag, n, err := flv.ParseTag(b)
		if err != nil {
			return false, b
		}
		if keyframe(tag.Type, tag.Body) {
			return true, nil
		}
		b = b[n:]
	}
}

// keyframe tells a picture that can be decoded alone (FLV 10.1 annex E.4.3.1).
func keyframe(typ media.Type, body []byte) bool {
	const key, picture = 1, 1
	return typ == media.TypeVideo && len(body) > 1 && body[0]>>4 == key && body[1] == picture
}

func (v *viewer) watchRTMP(ctx context.Context) error {
	url, err := rtmp.ParseURL("rtmp://" + v.edge.RTMP + "/" + v.stream)
	if err != nil {
		return err
	}
	if err := v.dial(ctx, v.edge.RTMP); err != nil {
		return err
	}
	client := rtmp.NewClientConn(rtmp.ClientConfig{URL: url, Role: rtmp.RolePlay})
	b := make([]byte, readSize)
	for {
		if out := client.Output(); len(out) > 0 {
			if _, err := v.conn.Write(out); err != nil {
				return err
			}
			client.Sent(len(out))
		}
		n, err := v.r.Read(b)
		if err != nil {
			return err
		}
		if found, err := feed(client, b[:n]); found || err != nil {
			return err
		}
	}
}

// feed gives a client what has come; found: there was a keyframe in it.
func feed(client *rtmp.ClientConn, b []byte) (found bool, err error) {
	for {
		n, ev, err := client.Feed(b)
		if err != nil {
			return false, err
		}
		b = b[n:]
		switch ev.Kind {
		case rtmp.EventNone:
			return false, nil
		case rtmp.EventMessage:
			if keyframe(ev.Message.Type, ev.Message.Body) {
				return true, nil
			}
		case rtmp.EventRefused:
			return false, fmt.Errorf("crowd: refused: %s", ev.Status.Code)
		default:
		}
	}
}

// watchHLS plays as a player begins: the multivariant playlist, the media playlist, a
// segment. A server that says when to come again is asked then.
func (v *viewer) watchHLS(ctx context.Context) error {
	list, err := v.fetch(ctx, "/"+v.stream+".m3u8")
	if err != nil {
		return err
	}
	playlist := path.Join("/", path.Dir(v.stream), uri(list))
	for {
		if list, err = v.fetch(ctx, playlist); err != nil {
			return err
		}
		if segment := uri(list); segment != "" {
			return v.segment(ctx, path.Join(path.Dir(playlist), segment))
		}
		if err := until(ctx, time.Now().Add(time.Second)); err != nil {
			return err
		}
	}
}

// uri is the first line of a playlist that is no tag.
func uri(list []byte) string {
	for line := range strings.Lines(string(list)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

// segment fetches a segment, which must be of whole TS packets.
func (v *viewer) segment(ctx context.Context, name string) error {
	const packet, sync = 188, 0x47
	b, err := v.fetch(ctx, name)
	if err == nil && (len(b) < packet || len(b)%packet != 0 || b[0] != sync) {
		err = fmt.Errorf("crowd: %s has %d bytes that are no MPEG-TS", name, len(b))
	}
	return err
}

// maxBody bounds what is read of an answer.
const maxBody = media.MaxHLSSegmentBytes

// fetch gets a file, again when the server says so, on a new connection when it has
// closed the one before.
func (v *viewer) fetch(ctx context.Context, file string) ([]byte, error) {
	for {
		if v.conn == nil {
			if err := v.dial(ctx, v.edge.HTTP); err != nil {
				return nil, err
			}
		}
		answer, err := v.get(file)
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			return nil, err
		}
		if answer.Close {
			v.close()
		}
		if answer.StatusCode == http.StatusOK {
			return b, nil
		}
		pause, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if answer.StatusCode != http.StatusServiceUnavailable || err != nil {
			return nil, fmt.Errorf("%w %s to %s", errStatus, answer.Status, file)
		}
		if err := until(ctx, time.Now().Add(time.Duration(pause)*time.Second)); err != nil {
			return nil, err
		}
	}
}
