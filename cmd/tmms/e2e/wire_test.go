package e2e

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// readFLV reads the tags of one of the sources.
func readFLV(t *testing.T, source string) []flv.Tag {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(assets, source))
	if err != nil {
		t.Fatal(err)
	}
	tags, err := parseFLV(b)
	if err != nil && !errors.Is(err, flv.ErrShort) {
		t.Fatal(err)
	}
	return tags
}

func parseFLV(b []byte) ([]flv.Tag, error) {
	_, n, err := flv.ParseHeader(b)
	if err != nil {
		return nil, err
	}
	var tags []flv.Tag
	for len(b) > n {
		tag, size, err := flv.ParseTag(b[n:])
		if err != nil {
			return tags, err
		}
		tags = append(tags, tag)
		n += size
	}
	return tags, nil
}

// pusher is a publisher under the test's control.
type pusher struct {
	t       *testing.T
	c       net.Conn
	conn    *rtmp.ClientConn
	mayFail bool // the server is about to be killed
	failed  bool // and has been

	sent []flv.Tag // by loop
}

// dialPush connects and asks to publish; it returns the refusal, if it is one.
func dialPush(t *testing.T, url string, order rtmp.Order) (*pusher, *rtmp.Status) {
	t.Helper()
	p, refused, err := tryPush(t, url, order)
	if err != nil {
		t.Fatalf("publish %s: %v", url, err)
	}
	return p, refused
}

// tryPush is dialPush for a server that may not be there.
func tryPush(t *testing.T, url string, order rtmp.Order) (*pusher, *rtmp.Status, error) {
	t.Helper()
	u, err := rtmp.ParseURL(url)
	if err != nil {
		return nil, nil, err
	}
	c, err := net.DialTimeout("tcp", u.Address(), 5*time.Second)
	if err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { c.Close() })
	p := &pusher{t: t, c: c, conn: rtmp.NewClientConn(rtmp.ClientConfig{URL: u, Role: rtmp.RolePublish, Order: order})}
	b := make([]byte, 4096)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		p.flush()
		n, err := c.Read(b)
		if err != nil {
			return nil, nil, err
		}
		for rest := b[:n]; ; {
			used, ev, err := p.conn.Feed(rest)
			if err != nil {
				return nil, nil, err
			}
			rest = rest[used:]
			switch ev.Kind {
			case rtmp.EventReady:
				go func() { // what the server says later is not needed
					_ = c.SetReadDeadline(time.Time{})
					_, _ = io.Copy(io.Discard, c)
				}()
				return p, nil, nil
			case rtmp.EventRefused:
				return p, ev.Status, nil
			default:
			}
			if ev.Kind == rtmp.EventNone {
				break
			}
		}
	}
}

func (p *pusher) flush() {
	out := p.conn.Output()
	if len(out) == 0 {
		return
	}
	if _, err := p.c.Write(out); err != nil {
		p.failed = true
		if !p.mayFail {
			p.t.Errorf("publish: %v", err)
		}
	}
	p.conn.Sent(len(out))
}

func (p *pusher) send(tag flv.Tag) {
	p.conn.Publish(rtmp.Message{Type: tag.Type, Timestamp: tag.Timestamp, Body: tag.Body})
	p.flush()
}

// play sends tags in real time for d of media, each timestamp plus offset.
func (p *pusher) play(tags []flv.Tag, offset uint32, d time.Duration) {
	start := time.Now()
	for _, tag := range tags {
		at := time.Duration(tag.Timestamp) * time.Millisecond
		if at > d {
			return
		}
		<-time.After(time.Until(start.Add(at)))
		tag.Timestamp += offset
		p.send(tag)
	}
}

// loop plays tags in real time, over and over with rising timestamps, on a
// goroutine of its own, until stop is called or the server is gone. Headers are
// in the first lap only.
func (p *pusher) loop(tags []flv.Tag) (stop func()) {
	stop, _ = p.loopDone(tags)
	return stop
}

// loopDone is loop with a channel that is closed when it has ended.
func (p *pusher) loopDone(tags []flv.Tag) (stop func(), ended <-chan struct{}) {
	var length uint32
	for _, tag := range tags {
		if tag.Type == media.TypeVideo {
			length = max(length, tag.Timestamp+frame)
		}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	start := time.Now()
	go func() {
		defer close(done)
		for lap := uint32(0); ; lap++ {
			for _, tag := range tags {
				if lap > 0 && !isMedia(tag) {
					continue
				}
				tag.Timestamp += lap * length
				select {
				case <-time.After(time.Until(start.Add(time.Duration(tag.Timestamp) * time.Millisecond))):
				case <-quit:
					return
				}
				if p.send(tag); p.failed {
					return
				}
				p.sent = append(p.sent, tag)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}, done
}

// cut ends the connection without a word, by RST.
func (p *pusher) cut() {
	_ = p.c.(*net.TCPConn).SetLinger(0)
	p.c.Close()
}

// watchFLV reads url until ctx ends or the server closes; it gives the tags and
// whether the server closed.
func watchFLV(ctx context.Context, url string) (tags []flv.Tag, closed bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, false, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, false, err
	}
	defer res.Body.Close()
	b, readErr := io.ReadAll(res.Body)
	closed = ctx.Err() == nil
	tags, err = parseFLV(b)
	if errors.Is(err, flv.ErrShort) {
		err = nil // it ended in the middle of a tag
	}
	if closed && err == nil {
		err = readErr
	}
	return tags, closed, err
}

// refusedError is what a server answers to a player that it refuses.
type refusedError struct{ rtmp.Status }

func (e *refusedError) Error() string { return e.Code + ": " + e.Description }

// watchRTMP plays url until ctx ends or the server closes.
func watchRTMP(ctx context.Context, url string) (tags []flv.Tag, closed bool, err error) {
	return watchEnhanced(ctx, url)
}

// watchEnhanced is watchRTMP with codecs announced that can be played.
func watchEnhanced(ctx context.Context, url string, fourCCs ...string) (tags []flv.Tag, closed bool, err error) {
	return watchCounted(ctx, url, func(int) {}, fourCCs...)
}

// watchCounted is watchEnhanced; count is told the bytes of each message that comes.
func watchCounted(
	ctx context.Context, url string, count func(int), fourCCs ...string,
) (tags []flv.Tag, closed bool, err error) {
	u, err := rtmp.ParseURL(url)
	if err != nil {
		return nil, false, err
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", u.Address())
	if err != nil {
		return nil, false, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	conn := rtmp.NewClientConn(rtmp.ClientConfig{URL: u, Role: rtmp.RolePlay, FourCCs: fourCCs})
	in := bufio.NewReaderSize(c, 64<<10)
	b := make([]byte, 64<<10)
	for {
		if out := conn.Output(); len(out) > 0 {
			if _, err := c.Write(out); err != nil {
				return tags, ctx.Err() == nil, nil
			}
			conn.Sent(len(out))
		}
		n, err := in.Read(b)
		if err != nil {
			return tags, ctx.Err() == nil, nil
		}
		for rest := b[:n]; ; {
			used, ev, err := conn.Feed(rest)
			if err != nil {
				return tags, false, err
			}
			rest = rest[used:]
			switch ev.Kind {
			case rtmp.EventMessage:
				body := append([]byte(nil), ev.Message.Body...)
				tags = append(tags, flv.Tag{Type: ev.Message.Type, Timestamp: ev.Message.Timestamp, Body: body})
				count(len(body))
			case rtmp.EventRefused:
				return tags, true, &refusedError{*ev.Status}
			case rtmp.EventEOF:
				return tags, true, nil
			default:
			}
			if ev.Kind == rtmp.EventNone {
				break
			}
		}
	}
}
