package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"tmms/media"
	"tmms/media/rtmp"
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
	if err = c.invite(to.At, "", "Another node takes the stream."); err != nil {
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

// moveNearer asks a publisher that is better off at another origin to go there; it may
// stay. One that was sent here, or whose stream is here, is not asked.
func (c *conn) moveNearer(req *rtmp.Request) error {
	nearer := c.srv.deps.Nearer
	if nearer == nil || req.Param(media.ParamVia) != "" {
		return nil
	}
	if _, here := c.srv.deps.Sessions.Stream(c.key); here {
		return nil
	}
	from, err := netip.ParseAddrPort(c.remote)
	if err != nil {
		return nil //nolint:nilerr // who comes by no address is nowhere
	}
	return c.invite(nearer(from.Addr()), media.Via, "Another node is nearer.")
}

// invite asks the peer to reconnect at an address, with a parameter in its query unless
// that is "", and waits for it to go; what comes meanwhile is kept, and is fed when it
// stays. It is not told yet that it may publish, so that little comes. The error ends
// the connection.
func (c *conn) invite(at, parameter, why string) error {
	if at == "" || !c.rtmp.CanMove() || !c.meansHere(at) || !c.rtmp.ReconnectWith(at, parameter, why) {
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
