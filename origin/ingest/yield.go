package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tmms/media"
)

// Elsewhere is an origin that is to have a stream in place of this one.
type Elsewhere struct {
	Owner string // node id
	At    string // HOST:PORT, for publishers that can reconnect there; "": not known
}

// yield gives a stream that this node is not to claim to another origin: a
// publisher that can reconnect (Enhanced RTMP v2) is asked to do so there, and has
// media.ReconnectTimeout for it; all others are forwarded, and who owns the stream
// then need not know. An origin that does not take it is followed by the next.
// done = false: the stream is here already, or is to be claimed by this node.
func (c *conn) yield(ctx context.Context) (done bool, err error) {
	to, ok := c.successor(nil)
	if !ok {
		return false, nil
	}
	if err = c.invite(to.At); err != nil {
		return true, err
	}
	held, cancel := context.WithTimeout(ctx, media.ClaimHold)
	defer cancel()
	var failed []string
	for {
		err = c.forward(held, to.Owner)
		if !errors.Is(err, ErrOwner) || held.Err() != nil {
			return true, err
		}
		failed = append(failed, to.Owner)
		pause(held, media.ClaimRetry)
		if to, ok = c.successor(failed); !ok {
			return false, nil
		}
	}
}

// successor is the origin to ask, but none of those that have failed.
func (c *conn) successor(failed []string) (to Elsewhere, ok bool) {
	deps := &c.srv.deps
	if deps.Yield == nil || deps.Forward == nil {
		return to, false
	}
	if _, here := deps.Sessions.Stream(c.key); here {
		return to, false
	}
	return deps.Yield(c.key, failed)
}

// invite asks the peer to reconnect at an address and waits for it to go; what
// comes meanwhile is kept, and is fed when it stays. It is not told yet that it
// may publish, so that little comes. The error ends the connection.
func (c *conn) invite(at string) error {
	if at == "" || !c.rtmp.CanMove() || !c.meansHere(at) || !c.rtmp.Reconnect(at, "Another node takes the stream.") {
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.nc.SetReadDeadline(c.srv.deps.Now().Add(media.ReconnectTimeout)); err != nil {
		return err
	}
	b := make([]byte, smallReadSize)
	n, err := io.ReadFull(c.nc, b)
	if n > 0 {
		c.early = append(c.early, b[:n]...)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("ingest: %w, asked to publish at %s", errPeer, at)
	case err == nil, isTimeout(err):
		return nil // it stays
	}
	return fmt.Errorf("ingest: read: %w", err)
}

// takeEarly gives what came before the connection was read; 0: nothing is left.
func (c *conn) takeEarly() int {
	if c.early == nil {
		return 0
	}
	n := copy(c.buffer(), c.early)
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil
	}
	return n
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// meansHere tells whether who publishes the stream at an address, without naming
// its domain, means this one: a request to reconnect changes the host only.
func (c *conn) meansHere(address string) bool {
	d, err := c.srv.deps.Apps.Config().Resolve(address, "")
	return err == nil && d.Name == c.key.Domain
}
