package ingest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/relaywire"
	"tmms/media/rtmp"
	"tmms/origin/session"
)

// errMoving interrupts what is read: the stream has another owner, where the
// connection's goroutine goes on.
var errMoving = errors.New("the stream is to be published at another owner")

// move notes that the stream has another owner. It may be called from any goroutine,
// and does not block. The connection's goroutine, which may be reading, looks at
// once; a lent socket is given back with the next message.
func (c *conn) move(m session.Moved) {
	c.moved.CompareAndSwap(nil, &m)
	c.nudge()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nc != nil {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // a socket that has failed is found out by reading
	}
}

// pushClosed is told why the owner has ended a push.
func (c *conn) pushClosed(reason error) {
	e, ok := errors.AsType[*relay.PushClosedError](reason)
	if ok && e.Reason == relaywire.PushNotOwner && c.srv.deps.Placements != nil {
		c.move(session.Moved{Reason: reason})
		return
	}
	c.close(reason)
}

// moving keeps a message that is not to be written, if the stream has another owner.
func (c *conn) moving(m rtmp.Message) bool {
	if c.moved.Load() == nil {
		return false
	}
	c.carry(m)
	return true
}

// carry keeps a message until it is known who is to have it.
func (c *conn) carry(m rtmp.Message) {
	c.carried = m
	c.carried.Body = bytes.Clone(m.Body)
}

// rehome makes the connection a publisher at the stream's new owner: from a keyframe
// on, or exactly where it stands, what is in force first. Meanwhile its bytes wait in
// the socket. A peer that can't be taken there in time is asked to reconnect; the error
// ends the connection.
func (c *conn) rehome(ctx context.Context, exact bool) error {
	m := c.moved.Swap(nil)
	c.turn.Store(nil)
	next := &following{waiting: true, exact: exact}
	if f, ok := c.pub.(*following); ok {
		next.kept = f.kept
	}
	next.kept.take(m.Headers)
	c.letGo(m.Reason)
	ctx, cancel := context.WithTimeout(ctx, media.RehomeTimeout)
	defer cancel()
	if err := c.goOn(ctx, m); err != nil {
		return c.sendAway(errors.Join(m.Reason, err))
	}
	next.publisher = c.pub
	if f, ok := c.pub.(*following); ok {
		next.publisher = f.publisher
	}
	c.pub = next
	c.attached()
	c.srv.deps.Log.Info("publisher goes on at another owner", slog.String("stream", c.key.String()),
		slog.String("owner", c.owner), slog.Uint64("epoch", c.epoch), slog.String("remote", c.remote))
	return c.deliver()
}

// letGo gives up the stream at the owner before; the connection still counts as a
// publisher.
func (c *conn) letGo(reason error) {
	c.pub.Detach(reason)
	if c.push != nil {
		c.srv.forwarded.Add(-1)
	}
	c.push = nil
}

// goOn publishes where the placement says that the stream is.
func (c *conn) goOn(ctx context.Context, m *session.Moved) error {
	owner, deps := m.Owner, &c.srv.deps
	for {
		if p, ok := deps.Placements.Placement(c.key); ok && p.Epoch >= m.Epoch {
			owner = p.Owner
		}
		err := ErrOwner
		switch {
		case owner == deps.Node:
			_, err = c.claim(ctx)
		case owner != "" && deps.Forward != nil:
			err = c.forward(ctx, owner)
		}
		if err == nil || !errors.Is(err, ErrOwner) || ctx.Err() != nil {
			return err
		}
		pause(ctx, media.RehomeRetry)
	}
}

// sendAway asks the peer to reconnect; if it can't, the reason ends the connection.
func (c *conn) sendAway(reason error) error {
	c.detach(reason)
	c.carried = rtmp.Message{}
	if c.leaving || !c.rtmp.Reconnect(c.srv.publishAt(), "The stream has moved.") {
		return reason
	}
	c.leaving, c.away = true, reason
	c.deadline = c.srv.deps.Now().Add(media.ReconnectTimeout)
	return c.flush()
}
