package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/relaywire"
	"tmms/media/rtmp"
	"tmms/origin/session"
)

// Forwarder takes publishers to the node that owns their stream.
type Forwarder interface {
	// Push asks the node with the id owner to take a publisher. An error is a
	// [relay.PushRefusedError], or the owner can't be reached.
	Push(ctx context.Context, owner string, r relay.PushRequest) (*relay.Push, error)
}

// ErrOwner refuses a stream whose owner can't be reached, or does not take it.
var ErrOwner = errors.New("the stream's owner does not answer")

// publisher is a connection's hold on its stream: on this node, or at the owner.
type publisher interface {
	Epoch() uint64
	Run() uint32
	Alive(now time.Time)
	Write(m rtmp.Message, now time.Time) error
	Hold() error // nothing is written from here on, until Turn or Moved says how it goes on
	Detach(reason error)
}

// hold attaches the connection to its stream, wherever that is owned. While
// the owner can't be reached it tries again, at once when the cluster has given
// the stream up: for [media.ClaimHold] at most, in which the publisher's bytes
// wait in the socket.
func (c *conn) hold(ctx context.Context) error {
	if done, err := c.yield(ctx); done {
		return err
	}
	held, cancel := context.WithTimeout(ctx, media.ClaimHold)
	defer cancel()
	for {
		owned, err := c.claim(ctx)
		if errors.Is(err, state.ErrDraining) { // it has just begun
			if done, yielded := c.yield(ctx); done {
				return yielded
			}
		}
		if owned == nil {
			return err
		}
		moved, watched := c.watch(held, *owned)
		err = c.forward(moved, owned.Owner)
		if errors.Is(err, ErrOwner) {
			pause(moved, media.ClaimRetry)
		}
		again := context.Cause(moved) == errMoved //nolint:errorlint // the very same
		watched()
		if !errors.Is(err, ErrOwner) || held.Err() != nil && !again {
			return err
		}
	}
}

// errMoved is the cause of a context that ended because the stream's owner has
// changed.
var errMoved = errors.New("the stream's owner has changed")

// watch gives a context that ends when the owner is not the one of now any
// more, and what ends the watching. An owner that takes the stream anew, in a later
// epoch, does so for this very publisher, as one that has just started does; so may
// one that has released it, which is given [media.ClaimRetry].
func (c *conn) watch(ctx context.Context, now state.Placement) (moved context.Context, stop func()) {
	moved, end := context.WithCancelCause(ctx)
	p := c.srv.deps.Placements
	if p == nil {
		return moved, func() { end(nil) }
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if ownerChanges(moved, p, c.key, now) {
			end(errMoved)
		}
	}()
	return moved, func() {
		end(nil)
		<-done
	}
}

// ownerChanges waits until the owner is not the one of now; false: ctx has ended
// before.
func ownerChanges(ctx context.Context, p session.Placements, key media.StreamKey, now state.Placement) bool {
	seen := false                 // this node's copy has come to the placement
	var released <-chan time.Time // nil: it is placed
	for {
		changed := p.WatchPlacements()
		at, ok := p.Placement(key)
		switch {
		case ok && at.Epoch >= now.Epoch && at.Owner != now.Owner:
			return true
		case ok:
			released = nil
		case seen && released == nil:
			released = time.After(media.ClaimRetry)
		}
		seen = seen || ok && at.Epoch >= now.Epoch
		select {
		case <-changed:
		case <-released:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// claim takes the stream for this node. If another node owns it, owned is its
// placement and forwarding is possible.
func (c *conn) claim(ctx context.Context) (owned *state.Placement, err error) {
	info := session.PublisherInfo{Remote: c.remote, Digest: c.token, Close: c.close}
	if c.srv.deps.Forward != nil {
		info.Moved, info.Turn = c.move, c.turnAt
	}
	p, err := c.srv.deps.Sessions.Attach(ctx, c.key, c.app, info)
	if err == nil {
		c.pub = p
		return nil, nil
	}
	e, ok := errors.AsType[*state.OwnedError](err)
	if !ok || c.srv.deps.Forward == nil || e.Placement.Orphan() {
		return nil, err
	}
	return &e.Placement, nil
}

// forward makes the connection a publisher at the owner.
func (c *conn) forward(ctx context.Context, owner string) error {
	r := relay.PushRequest{Close: c.pushClosed, Turn: c.turnPush, PushRequest: relaywire.PushRequest{
		Key: c.key, Remote: c.remote, Encoder: c.encoder, Token: c.token,
	}}
	push, err := c.srv.deps.Forward.Push(ctx, owner, r)
	if err != nil {
		return forwardError(err)
	}
	c.srv.forwarded.Add(1)
	c.pub, c.push = &following{publisher: push}, push
	return nil
}

// forwardError sorts out why a publisher was not taken by the owner: for what
// another try does not mend it is an error that [reason] knows.
func forwardError(err error) error {
	if e, ok := errors.AsType[*relay.PushRefusedError](err); ok {
		switch e.Reason {
		case relaywire.PushBusy:
			return fmt.Errorf("%w: %w", session.ErrBusy, err)
		case relaywire.PushFull:
			return fmt.Errorf("%w: %w", session.ErrTooManyStreams, err)
		default:
		}
	}
	return fmt.Errorf("ingest: %w: %w", ErrOwner, err)
}

// digest is zero for no token.
func digest(token string) relaywire.TokenDigest {
	if token == "" {
		return relaywire.TokenDigest{}
	}
	return sha256.Sum256([]byte(token))
}
