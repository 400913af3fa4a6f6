// Package publish pushes the synthetic stream of bench/signal over RTMP.
package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"tmms/bench/signal"
	"tmms/media"
	"tmms/media/rtmp"
)

// Config of one publisher.
type Config struct {
	URL    string // rtmp://HOST[:PORT]/APP/STREAM
	Signal signal.Config
	Form   Form
	// Due stamps frames with the time at which they were due in place of that at
	// which they were sent, so that times and markers go alike.
	Due bool
}

// Validate names the first value out of range.
func (c Config) Validate() error {
	if err := c.Form.Validate(); err != nil {
		return err
	}
	return c.Signal.Validate()
}

const timeout = 10 * time.Second // of the dial, of the handshake, and of a write

// Run publishes in real time until ctx ends, which is no error. onReady, if
// not nil, is called once the server has accepted, and again where it has asked to
// reconnect and was followed.
func Run(ctx context.Context, cfg Config, onReady func()) error {
	if err := run(ctx, cfg, onReady); ctx.Err() == nil {
		return err
	}
	return nil
}

func run(ctx context.Context, cfg Config, onReady func()) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	source, err := signal.NewSource(cfg.Signal)
	if err != nil {
		return err
	}
	return follow(ctx, cfg, source, onReady)
}

// follow publishes the frames of a source, wherever the server sends it.
func follow(ctx context.Context, cfg Config, source *signal.Source, onReady func()) error {
	var begun time.Time
	for {
		p, err := connect(ctx, cfg)
		if err != nil {
			return err
		}
		if begun.IsZero() {
			begun = time.Now()
		}
		if onReady != nil {
			onReady()
		}
		p.source, p.begun = source, begun
		p.headers(cfg)
		err = p.serve(ctx)
		moved, ok := errors.AsType[*movedError](err)
		if !ok {
			return err
		}
		cfg.URL = moved.url
	}
}

// movedError says that the server has asked to reconnect.
type movedError struct {
	url string // where to
}

func (e *movedError) Error() string { return "publish: the server asks to reconnect at " + e.url }

// serve publishes until the connection is over, and closes it.
func (p *publisher) serve(ctx context.Context) error {
	defer p.c.Close()
	stop := context.AfterFunc(ctx, func() { _ = p.c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	return p.publish(ctx)
}

type publisher struct {
	cfg    Config
	c      net.Conn
	conn   *rtmp.ClientConn
	source *signal.Source
	begun  time.Time // when the source's first frame was due
	moved  string    // where the server has asked to reconnect at; "": nowhere
}

// connect dials and asks to publish; it returns when the server has accepted, or
// soon after the end of ctx.
func connect(ctx context.Context, cfg Config) (*publisher, error) {
	source, err := signal.NewSource(cfg.Signal)
	if err != nil {
		return nil, err
	}
	u, err := rtmp.ParseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	d := net.Dialer{Timeout: timeout}
	c, err := d.DialContext(ctx, "tcp", u.Address())
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	if err = c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, errors.Join(fmt.Errorf("publish: %w", err), c.Close())
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	client := rtmp.ClientConfig{URL: u, Role: rtmp.RolePublish}
	if cfg.Form.FourCC {
		client.Caps, client.FourCCs = rtmp.ServerCaps, []string{"avc1", "mp4a"}
	}
	p := &publisher{cfg: cfg, c: c, conn: rtmp.NewClientConn(client), source: source}
	if err = p.handshake(); err == nil {
		err = c.SetReadDeadline(time.Time{}) // what ctx has set is set again by serve
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return p, nil
}

func (p *publisher) handshake() error {
	b := make([]byte, 4096)
	for {
		if err := p.send(); err != nil {
			return err
		}
		n, err := p.c.Read(b)
		if err != nil {
			return fmt.Errorf("publish: handshake: %w", err)
		}
		if ready, err := p.feed(b[:n]); ready || err != nil {
			return err
		}
	}
}

// feed takes what the server says.
func (p *publisher) feed(b []byte) (ready bool, err error) {
	for len(b) > 0 {
		used, ev, err := p.conn.Feed(b)
		b = b[used:]
		switch {
		case err != nil:
			return false, fmt.Errorf("publish: %w", err)
		case ev.Kind == rtmp.EventReady:
			ready = true
		case ev.Kind == rtmp.EventReconnect:
			p.moved = elsewhere(p.cfg.URL, ev.Status.TcURL)
		case ev.Kind == rtmp.EventRefused:
			return false, fmt.Errorf("publish: refused: %s: %s", ev.Status.Code, ev.Status.Description)
		}
	}
	return ready, nil
}

// elsewhere is the URL of the same stream at the place that tcURL names.
func elsewhere(url, tcURL string) string {
	u, err := rtmp.ParseURL(url)
	if err != nil || tcURL == "" {
		return url
	}
	return tcURL + "/" + u.Stream
}

func (p *publisher) send() error {
	out := p.conn.Output()
	if len(out) == 0 {
		return nil
	}
	if err := p.c.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if _, err := p.c.Write(out); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	p.conn.Sent(len(out))
	return nil
}

// say queues a body of the signal, in its form.
func (p *publisher) say(typ media.Type, timestamp uint32, body []byte) {
	p.cfg.Form.publish(p.conn, rtmp.Message{Type: typ, Timestamp: timestamp, Body: body})
}

// headers queues the sequence headers of the stream's tracks.
func (p *publisher) headers(cfg Config) {
	video, audio := signal.Headers()
	p.say(media.TypeVideo, 0, video)
	if !cfg.Signal.NoAudio {
		p.say(media.TypeAudio, 0, audio)
	}
}

// publish sends each frame when it is due, until the server ends the connection or
// has asked to reconnect and the next frame is a keyframe: that goes there.
func (p *publisher) publish(ctx context.Context) error {
	said, gone := make(chan []byte), make(chan error, 1)
	quit := make(chan struct{})
	go p.read(said, gone, quit)
	defer func() { // the reader ends with the connection
		close(quit)
		_ = p.c.SetReadDeadline(time.Unix(1, 0))
		<-gone //nolint:errcheck // it is the end of the connection that this function closes
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-gone:
			gone <- err
			return err
		case b := <-said:
			if _, err := p.feed(b); err != nil {
				return err
			}
			continue
		case <-time.After(time.Until(p.begun.Add(p.source.Due()))):
		}
		if p.moved != "" && p.source.AtKey() {
			p.conn.Stop()
			return errors.Join(&movedError{p.moved}, p.send())
		}
		stamp := time.Now()
		if p.cfg.Due {
			stamp = p.begun.Add(p.source.Due())
		}
		f := p.source.Next(stamp)
		p.say(f.Type, uint32(f.Due.Milliseconds()), f.Body)
		if err := p.send(); err != nil {
			return errors.Join(err, ctx.Err())
		}
	}
}

// read passes on what the server says until the connection is over.
func (p *publisher) read(said chan<- []byte, gone chan<- error, quit <-chan struct{}) {
	for {
		b := make([]byte, 4096)
		n, err := p.c.Read(b)
		if n > 0 {
			select {
			case said <- b[:n]:
			case <-quit:
			}
		}
		if err != nil {
			gone <- fmt.Errorf("publish: the server ended the connection: %w", err)
			return
		}
	}
}
