package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"tmms/edge/fanout"
	"tmms/edge/viewer"
	"tmms/media"
)

// live is a viewer of a stream as it comes over HTTP/2 or 3. A loop's fan-out
// fills its pipe as it fills the sockets of others, and the goroutine of the
// request empties it.
type live struct {
	// Set at construction.
	loop   *Loop
	pipe   *pipe
	joined chan struct{} // closed when there is a place to start at
	left   chan error    // has the reason when the fan-out let go of the viewer

	viewer fanout.Viewer // owned by the loop
}

// OnJoin implements fanout.Sink.
func (v *live) OnJoin() { close(v.joined) }

// SendControl implements fanout.Sink: there is nothing beside the stream.
func (v *live) SendControl() (done bool, err error) { return true, nil }

// OnLeave implements fanout.Sink.
func (v *live) OnLeave(reason error) { v.left <- reason }

// attach runs on the loop. A drain has asked the loop's viewers to leave before
// this, or it sees this one.
func (v *live) attach(opt fanout.Options) {
	l := v.loop
	if l.server.gate.Draining() {
		v.left <- viewer.ErrDraining
		return
	}
	if err := l.fanout.Attach(&v.viewer, v.pipe, v, opt, l.loop.Now()); err != nil {
		v.left <- err
	}
}

// errBusy refuses a viewer for whom the loop has no time.
var errBusy = errors.New("the node is busy")

// play makes the request a viewer of the stream.
func (x *exchange) play(p *playing) {
	h := x.handler
	if p.headOnly() {
		x.answer(h.server.headLive(p))
		return
	}
	gate := h.server.gate
	if err := gate.Enter(); err != nil {
		x.answer(unavailable(err.Error(), false))
		return
	}
	defer gate.Leave()
	l := h.loops[h.turn.Add(1)%uint32(len(h.loops))]
	v := &live{
		loop: l, pipe: newPipe(h.chunks, x.remote), joined: make(chan struct{}), left: make(chan error, 1),
	}
	opt := h.server.options(p.target, p.what.format(false))
	if !l.loop.Post(func() { v.attach(opt) }) {
		x.answer(unavailable(errBusy.Error(), false))
		return
	}
	cause := x.watch(v, p.what)
	v.end()
	gate.Ended(cause)
	h.server.log.Debug("http viewer left", slog.String("remote", x.remote.String()), slog.Any("err", cause))
}

// watch waits for the stream and passes it on; it tells why that ended.
func (x *exchange) watch(v *live, what want) (cause error) {
	ctx := x.request.Context()
	timer := time.NewTimer(media.ParkTimeout)
	defer timer.Stop()
	select {
	case <-v.joined:
	case cause = <-v.left:
		if !v.hasJoined() {
			x.answer(notJoined(cause))
			return cause
		}
		v.left <- cause // for relay, after the bytes
	case <-timer.C:
		x.answer(notPublished())
		return viewer.ErrTimeout
	case <-ctx.Done():
		return io.EOF
	}
	h := what.header()
	x.head(&h)
	return x.relay(ctx, v)
}

func (v *live) hasJoined() bool {
	select {
	case <-v.joined:
		return true
	default:
		return false
	}
}

// postRetry is the pause after which a loop whose mailbox was full is tried again.
const postRetry = 5 * time.Millisecond

// relay writes what comes through the pipe, one flush of the fan-out at a time,
// until the stream, the viewer or the node ends.
func (x *exchange) relay(ctx context.Context, v *live) (cause error) {
	var retry <-chan time.Time // set while the loop has to hear of room
	owed := false
	for {
		fresh, err := x.pass(v)
		if err != nil {
			x.err = err
			return err
		}
		owed = owed || fresh
		if owed && v.loop.loop.Post(v.viewer.OnWritable) {
			owed = false
		}
		if retry = nil; owed {
			retry = time.After(postRetry)
		}
		select {
		case <-v.pipe.filled:
		case <-retry:
		case cause = <-v.left:
			return x.finish(v, cause)
		case <-ctx.Done():
			return io.EOF
		}
	}
}

// pass writes what is in the pipe, and flushes. owed tells that the loop has to
// hear of room.
func (x *exchange) pass(v *live) (owed bool, err error) {
	wrote := false
	for b := v.pipe.next(); len(b) > 0; b = v.pipe.next() {
		n, err := x.out.send(b)
		if err != nil {
			return false, err
		}
		wrote = true
		if v.pipe.took(n) && !v.loop.loop.Post(v.viewer.OnWritable) {
			owed = true
		}
	}
	if !wrote {
		return owed, nil
	}
	return owed, x.out.flush()
}

// finish ends the answer of a viewer that the fan-out has let go: in good order
// after the last whole tag, else by a reset.
func (x *exchange) finish(v *live, reason error) error {
	switch {
	case errors.Is(reason, fanout.ErrEnded):
	case errors.Is(reason, fanout.ErrStopped) && x.handler.server.gate.Draining():
		reason = viewer.ErrDraining
	case errors.Is(reason, fanout.ErrStopped):
		reason = viewer.ErrDone
	default:
		x.err = reason
		return reason
	}
	_, x.err = x.pass(v)
	return reason
}

// end takes the viewer out of the fan-out, if it is still there. A loop that has
// no room for that finds the pipe closed when it sends next.
func (v *live) end() {
	v.pipe.close()
	const tries = 200 // a second
	for range tries {
		if v.loop.loop.Post(v.viewer.Detach) {
			return
		}
		<-time.After(postRetry)
	}
}
