// Package publish pushes the synthetic stream of bench/signal over RTMP.
package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"tmms/bench/signal"
	"tmms/media/rtmp"
)

// Config of one publisher.
type Config struct {
	URL    string // rtmp://HOST[:PORT]/APP/STREAM
	Signal signal.Config
}

const timeout = 10 * time.Second // of the dial, and of a write

// Run publishes in real time until ctx ends, which is no error. onReady, if
// not nil, is called once the server has accepted.
func Run(ctx context.Context, cfg Config, onReady func()) error {
	p, err := connect(ctx, cfg)
	if err == nil {
		defer p.c.Close()
		if onReady != nil {
			onReady()
		}
		stop := context.AfterFunc(ctx, func() { _ = p.c.SetDeadline(time.Unix(1, 0)) })
		defer stop()
		p.headers(cfg.Signal)
		err = p.publish(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type publisher struct {
	c      net.Conn
	conn   *rtmp.ClientConn
	source *signal.Source
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
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	p := &publisher{c: c, conn: rtmp.NewClientConn(rtmp.ClientConfig{URL: u, Role: rtmp.RolePublish}), source: source}
	if err = p.handshake(); err != nil {
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
		for rest := b[:n]; len(rest) > 0; {
			used, ev, err := p.conn.Feed(rest)
			rest = rest[used:]
			switch {
			case err != nil:
				return fmt.Errorf("publish: %w", err)
			case ev.Kind == rtmp.EventReady:
				return nil
			case ev.Kind == rtmp.EventRefused:
				return fmt.Errorf("publish: refused: %s: %s", ev.Status.Code, ev.Status.Description)
			}
		}
	}
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

// publish sends each frame when it is due. What the server says meanwhile
// (acknowledgements, pings) is not needed and stays unread, but for its end.
func (p *publisher) publish(ctx context.Context) error {
	gone := make(chan error, 1)
	go func() {
		b := make([]byte, 4096)
		for {
			if _, err := p.c.Read(b); err != nil {
				gone <- fmt.Errorf("publish: the server ended the connection: %w", err)
				return
			}
		}
	}()
	defer func() { // the reader ends with the connection
		_ = p.c.SetReadDeadline(time.Unix(1, 0))
		<-gone //nolint:errcheck // it is the end of the connection that this function closes
	}()
	start := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-gone:
			gone <- err
			return err
		case <-time.After(time.Until(start.Add(p.source.Due()))):
		}
		f := p.source.Next(time.Now())
		p.conn.Publish(rtmp.Message{Type: f.Type, Timestamp: uint32(f.Due.Milliseconds()), Body: f.Body})
		if err := p.send(); err != nil {
			return errors.Join(err, ctx.Err())
		}
	}
}
