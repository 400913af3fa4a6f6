package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/relaywire"
	"tmms/media/rtmp"
	"tmms/origin/session"
)

// errTurning interrupts what is read: the connection's goroutine waits to learn whose
// the stream is from here on.
var errTurning = errors.New("the stream is about to be published at another owner")

// turnAt notes that the stream is about to get another owner, or stays. It may be
// called from any goroutine, and does not block.
func (c *conn) turnAt(t session.Turn) {
	if t.On {
		c.srv.deps.Log.Debug("publisher is to hold", slog.String("remote", c.remote))
		c.turn.Store(&t)
	} else {
		c.turn.Store(nil)
	}
	c.nudge()
}

// turnPush is turnAt for the owner of a stream that is forwarded.
func (c *conn) turnPush(t relaywire.PushTurn) { c.turnAt(session.Turn(t)) }

// nudge lets a connection that holds look again.
func (c *conn) nudge() {
	select {
	case c.turned <- struct{}{}:
	default:
	}
}

// turning keeps a message that is to be the next owner's.
func (c *conn) turning(m rtmp.Message) bool {
	t := c.turn.Load()
	if t == nil || !turnsAt(*t, m) {
		return false
	}
	c.carry(m)
	return true
}

// turnsAt tells that the stream is to be another owner's from a message on.
func turnsAt(t session.Turn, m rtmp.Message) bool {
	info, err := flv.Describe(m.Type, m.Body)
	if err != nil {
		return false
	}
	if info.Kind == media.KindKey {
		return !t.Video || info.Track <= t.Track
	}
	return info.Kind == media.KindAudio && !t.Video
}

// halt holds until the stream has moved, or is known to stay, and goes on with it.
// Meanwhile what the peer sends waits in the socket. An owner that says neither is
// not waited for.
func (c *conn) halt(ctx context.Context) error {
	if err := c.pub.Hold(); err != nil && c.moved.Load() == nil {
		return err
	}
	t := time.NewTimer(media.HandOverHold)
	defer t.Stop()
	for c.turn.Load() != nil && c.moved.Load() == nil {
		select {
		case <-c.turned:
		case <-t.C:
			c.turn.Store(nil)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if c.moved.Load() != nil {
		return c.rehome(ctx, true)
	}
	return c.deliver()
}

// deliver writes the message that was kept.
func (c *conn) deliver() error {
	m := c.carried
	if m.Body == nil {
		return nil
	}
	c.carried = rtmp.Message{}
	return c.pub.Write(m, c.last)
}

// interrupted does what the connection's goroutine has to when reading was interrupted;
// false: err means something else.
func (c *conn) interrupted(ctx context.Context, err error) (done bool, fault error) {
	switch {
	case errors.Is(err, errTurning):
		return true, c.halt(ctx)
	case errors.Is(err, errMoving):
		return true, c.rehome(ctx, false)
	}
	return false, nil
}
