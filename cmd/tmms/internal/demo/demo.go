// Package demo publishes a built-in moving picture with a beep, as an encoder
// would: over a real RTMP connection, in real time, for ever.
package demo

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"tmms/media"
	"tmms/media/rtmp"
)

// The waits between two attempts to connect.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// Config says where to publish to.
type Config struct {
	URL string // rtmp://host[:port]/app/stream
	Log *slog.Logger

	// Dial connects to the server of the URL; nil is TCP.
	Dial func(ctx context.Context) (net.Conn, error)
}

// Publisher plays the loop to one server.
type Publisher struct {
	// Set at construction.
	cfg  Config
	url  rtmp.URL
	clip *clip
}

// New checks the configuration; it starts nothing.
func New(cfg Config) (*Publisher, error) {
	u, err := rtmp.ParseURL(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	c, err := parseClip(asset)
	if err != nil {
		return nil, err
	}
	p := &Publisher{cfg: cfg, url: u, clip: c}
	if p.cfg.Dial == nil {
		p.cfg.Dial = func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", u.Address())
		}
	}
	return p, nil
}

// Run publishes until ctx ends; a connection that fails is made again, sooner
// after it has worked than after it has not.
func (p *Publisher) Run(ctx context.Context) error {
	backoff := minBackoff
	for {
		worked, err := p.publish(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end was asked for
		}
		if worked {
			backoff = minBackoff
		}
		p.cfg.Log.Warn("demo publisher lost its connection",
			slog.String("url", p.cfg.URL), slog.Duration("retry_in", backoff), slog.Any("err", err))
		if !wait(ctx, backoff) {
			return nil
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// publish is one connection; worked tells whether the server took the stream.
func (p *Publisher) publish(ctx context.Context) (worked bool, err error) {
	c, err := p.cfg.Dial(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = c.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()

	s := &sender{conn: c, rtmp: rtmp.NewClientConn(rtmp.ClientConfig{URL: p.url, Role: rtmp.RolePublish})}
	if err = s.open(); err != nil {
		return false, err
	}
	p.cfg.Log.Info("demo publisher is live", slog.String("url", p.cfg.URL))

	playing, cancel := context.WithCancelCause(ctx)
	var reader sync.WaitGroup
	reader.Go(func() { cancel(s.listen()) })
	err = p.play(playing, s)
	_ = c.Close()
	reader.Wait()
	if cause := context.Cause(playing); err == nil {
		err = cause
	}
	return true, err
}

// play sends each frame when it is due, until ctx ends.
func (p *Publisher) play(ctx context.Context, s *sender) error {
	if err := s.send(p.clip.configs...); err != nil {
		return err
	}
	start := time.Now()
	for n := 0; ; n++ {
		m, at := p.clip.frame(n)
		if !wait(ctx, at.Duration()-time.Since(start)) {
			return nil
		}
		if err := s.send(m); err != nil {
			return err
		}
	}
}

// wait reports whether d passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sender is one RTMP connection, shared by the player and the listener.
type sender struct {
	conn net.Conn

	mu   sync.Mutex
	rtmp *rtmp.ClientConn // guarded by mu
}

// open does handshake and commands until the server takes the stream.
func (s *sender) open() error {
	if err := s.conn.SetDeadline(time.Now().Add(media.IdentifyTimeout)); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for !s.rtmp.Ready() {
		if err := s.flush(); err != nil {
			return err
		}
		n, err := s.conn.Read(buf)
		if err != nil {
			return err
		}
		if err := s.feed(buf[:n]); err != nil {
			return err
		}
	}
	return s.conn.SetDeadline(time.Time{})
}

// listen reads what the server says until the connection ends, and gives the cause.
func (s *sender) listen() error {
	buf := make([]byte, 4096)
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			return err
		}
		s.mu.Lock()
		err = s.feed(buf[:n])
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// feed gives bytes of the server to the parser. mu is held, or nobody else is there.
func (s *sender) feed(b []byte) error {
	for len(b) > 0 {
		n, ev, err := s.rtmp.Feed(b)
		if err != nil {
			return err
		}
		if ev.Kind == rtmp.EventRefused {
			return fmt.Errorf("refused: %s: %s", ev.Status.Code, ev.Status.Description)
		}
		b = b[n:]
	}
	return nil
}

// send publishes messages, and whatever else is due to the server.
func (s *sender) send(messages ...rtmp.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range messages {
		s.rtmp.Publish(m)
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(media.StallTimeout)); err != nil {
		return err
	}
	return s.flush()
}

// flush writes the parser's output. mu is held, or nobody else is there.
func (s *sender) flush() error {
	n, err := s.conn.Write(s.rtmp.Output())
	s.rtmp.Sent(n)
	return err
}
