package fanout

import (
	"time"

	"tmms/cluster/relay"
	"tmms/media"
)

// Conn is what the fan-out needs of a connection; *reactor.Conn is one.
type Conn interface {
	// Send passes b to the socket without blocking; after a short send the
	// connection's owner calls [Viewer.OnWritable] when there is room again.
	Send(b []byte) (n int, err error)
	// SendLater is Send as a part of a batch: to is told the outcome within
	// Config.Submit at the latest. b stays as it is until then.
	SendLater(b []byte, to Completion)
}

// Completion is told what became of a Conn.SendLater; a *Viewer is one.
type Completion = interface {
	OnSent(n, asked int, err error)
}

// Sink is the protocol object behind a viewer. It is called on the loop.
type Sink interface {
	// OnJoin is called when the viewer has a place to start at, before its
	// first byte. What has to go ahead of the stream is sent here, or queued
	// with [Viewer.Interrupt].
	OnJoin()
	// SendControl sends what the protocol has queued; it is called only where
	// a message ends, after [Viewer.Interrupt]. done = false: the socket is full.
	SendControl() (done bool, err error)
	// OnLeave is called when the fan-out lets go of the viewer by itself; the
	// reason is one of this package's errors or a send error. Not after [Viewer.Detach].
	OnLeave(reason error)
}

// flag bits of a viewer.
const (
	flagJoined  uint8 = 1 << iota // has a cursor
	flagBlocked                   // the socket is full: wait for OnWritable
	flagMid                       // the last byte sent does not end a message
	flagControl                   // the sink wants a turn at the next message boundary
	flagLeaving                   // leave at the next message boundary
	flagQueued                    // in the engine's backlog
	flagIdle                      // had everything at its last turn
	flagLate                      // skips at the next message boundary
)

// Viewer is one viewer's place in a stream. It belongs to the loop of its
// engine and holds no buffer: what it has still to get is found by its cursor.
type Viewer struct {
	conn   Conn
	sink   Sink
	engine *Engine
	bucket *bucket // nil: not attached
	prefix *prefix // being sent; nil: done

	cursor   int64           // absolute offset in the channel's log
	sent     int64           // bytes since Attach
	since    time.Duration   // when the viewer was attached, then when it joined
	stuckAt  media.Timestamp // stream time of what it would have got next when its socket was full
	progress time.Duration   // when the socket took the last byte, or had nothing to take

	prefixOff uint32 // bytes of prefix sent
	shift     int32  // ms taken off the clock by skips
	index     uint32 // in bucket.viewers
	flags     uint8
}

// Attached tells whether the viewer is in a stream, or waits for one.
func (v *Viewer) Attached() bool { return v.bucket != nil }

// Conn is the connection that the viewer was attached with.
func (v *Viewer) Conn() Conn { return v.conn }

// Joined tells whether the viewer has a place in the stream.
func (v *Viewer) Joined() bool { return v.flags&flagJoined != 0 }

// Key is the stream's key; the viewer must be attached.
func (v *Viewer) Key() media.StreamKey { return v.bucket.channel.stream.key }

// Options are those to attach a viewer like this one with; the viewer must be
// attached.
func (v *Viewer) Options() Options {
	ch := v.bucket.channel
	return Options{
		Key: ch.stream.key, Format: ch.format, Latency: ch.stream.latency, Flush: ch.class.interval, FlushLimit: ch.class.limit,
	}
}

// Format is the format of the viewer's bytes; the viewer must be attached.
func (v *Viewer) Format() Format { return v.bucket.channel.format }

// Sent is the number of stream bytes that the socket took since Attach.
func (v *Viewer) Sent() int64 { return v.sent }

// Since is the loop's time when the viewer was attached or, later, joined.
func (v *Viewer) Since() time.Duration { return v.since }

// Shift is what skips have taken off the viewer's clock.
func (v *Viewer) Shift() time.Duration { return time.Duration(v.shift) * time.Millisecond }

// FlushSize estimates the bytes of one flush from what the viewer has still to
// get; 0 when that is too little to tell. The viewer must have joined.
func (v *Viewer) FlushSize() int {
	ch := v.bucket.channel
	e, ok := ch.view.log.At(v.cursor)
	span := (ch.live.LastDTS() - e.DTS).Duration()
	if !ok || span < 200*time.Millisecond {
		return 0
	}
	return int((ch.view.log.Head() - v.cursor) * int64(ch.class.interval) / int64(span))
}

// InMessage tells that the bytes sent so far end inside a message; the protocol
// must not send anything of its own then, but call Interrupt.
func (v *Viewer) InMessage() bool { return v.flags&flagMid != 0 }

// Interrupt asks for [Sink.SendControl] at the next message boundary; that is
// within this call if the viewer stands at one.
func (v *Viewer) Interrupt() {
	v.flags |= flagControl
	if v.flags&(flagMid|flagBlocked) == 0 {
		v.control()
	}
}

// Stop makes the viewer leave where the message in hand ends; [Sink.OnLeave] is
// then called with [ErrStopped], maybe within this call.
func (v *Viewer) Stop() {
	if v.bucket == nil {
		return
	}
	if v.flags&flagMid == 0 {
		v.leave(ErrStopped)
		return
	}
	v.flags |= flagLeaving
}

// OnWritable goes on sending after a short send.
func (v *Viewer) OnWritable() {
	if v.bucket == nil || v.flags&flagBlocked == 0 {
		return
	}
	v.flags &^= flagBlocked
	v.engine.enqueue(v)
}

// Detach takes the viewer out of its stream; it may be attached again. It does
// nothing to a viewer that is not attached.
func (v *Viewer) Detach() {
	if v.bucket == nil {
		return
	}
	b := v.bucket
	v.bucket, v.prefix = nil, nil
	v.flags &= flagQueued // the backlog drops it when it comes to it
	b.remove(v)
}

// leave takes the viewer out and tells its sink why.
func (v *Viewer) leave(reason error) {
	v.Detach()
	v.sink.OnLeave(reason)
}

// join moves a waiting viewer into the life, to start at j or near it; it goes
// on waiting when the view isn't that far yet.
func (v *Viewer) join(live *relay.Live, j relay.Join) {
	old := v.bucket
	wait := old.channel
	ch := wait.stream.channel(live, wait.format, wait.class)
	if !v.enter(ch, old.slot, j) {
		ch.closeIfUnused()
	}
}

// enter moves the viewer into a slot of ch, to start at j or near it; false if
// the view isn't that far yet.
func (v *Viewer) enter(ch *channel, slot int, j relay.Join) bool {
	off, j, ok := ch.place(j)
	if !ok {
		return false
	}
	e := v.engine
	if v.bucket != nil {
		v.bucket.remove(v)
	}
	ch.add(v, slot)
	v.cursor, v.prefix, v.prefixOff, v.shift = off, ch.view.prefix(j), 0, 0
	v.flags |= flagJoined
	v.since, v.progress = e.now, e.now
	v.sink.OnJoin()
	if v.bucket != nil {
		e.enqueue(v)
	}
	return true
}
