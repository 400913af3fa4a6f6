package fanout

import (
	"time"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/flv"
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
	flagJoined  uint16 = 1 << iota // has a cursor
	flagBlocked                    // the socket is full: wait for OnWritable
	flagMid                        // the last byte sent does not end a message
	flagControl                    // the sink wants a turn at the next message boundary
	flagLeaving                    // leave at the next message boundary
	flagQueued                     // in the engine's backlog
	flagLate                       // skips at the next message boundary
	flagFresh                      // has not had everything since it joined
	flagBehind                     // its socket was full since it last had everything; see slow
)

// flagsCare are those that make more of a turn than one send from the cursor.
const flagsCare = flagBlocked | flagControl | flagLeaving | flagLate | flagBehind

// Viewer is one viewer's place in a stream. It belongs to the loop of its
// engine and holds no buffer: what it has still to get is found by its cursor.
type Viewer struct {
	// What each flush looks at, together.
	flags  uint16
	takes  flv.FourCCs
	shift  int32   // ms taken off the clock by skips
	cursor int64   // absolute offset in the channel's log
	prefix *prefix // being sent; nil: done
	conn   Conn
	bucket *bucket // nil: not attached
	sent   int64   // bytes since Attach

	// The rest.
	slow      *slow // nil: its socket was not full, or that is long made good
	sink      Sink
	since     time.Duration // when the viewer was attached, then when it joined
	prefixOff uint32        // bytes of the prefix sent
	index     uint32        // in bucket.viewers
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
		Key: ch.stream.key, Format: ch.format, Latency: ch.stream.latency,
		Flush: ch.class.interval, FlushLimit: ch.class.limit, Takes: v.takes,
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

// Lag is how far what the viewer gets next is behind the stream's newest packet,
// in stream time; at least so far if that is not held any more. 0 for one that
// has everything, and for one that waits.
func (v *Viewer) Lag() time.Duration {
	if v.flags&flagJoined == 0 {
		return 0
	}
	ch := v.bucket.channel
	e, ok := ch.view.log.At(max(v.cursor, ch.view.log.Tail()))
	if !ok {
		return 0
	}
	return max(0, ch.live.LastDTS()-e.DTS).Duration()
}

// FlushSize estimates the bytes of one flush from the bitrate of what the FLV
// log holds; 0 when that is too little to tell. The viewer must have joined.
func (v *Viewer) FlushSize() int {
	ch := v.bucket.channel
	log := ch.live.Log()
	tail := log.Tail()
	e, ok := log.At(tail)
	span := (ch.live.LastDTS() - e.DTS).Duration()
	if !ok || span < 200*time.Millisecond {
		return 0
	}
	return int((log.Head() - tail) * int64(ch.class.interval) / int64(span))
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
	v.bucket.channel.engine.enqueue(v)
}

// Detach takes the viewer out of its stream; it may be attached again. It does
// nothing to a viewer that is not attached.
func (v *Viewer) Detach() {
	if v.bucket == nil {
		return
	}
	b := v.bucket
	v.bucket, v.prefix, v.slow = nil, nil, nil
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
	e := ch.engine
	if v.bucket != nil {
		v.bucket.remove(v)
	}
	ch.add(v, slot)
	if ch.view.empty() {
		v.leave(ErrNotCarried)
		return true
	}
	if missing := ch.view.missing(v.takes); missing != 0 {
		v.leave(&CodecError{Missing: missing})
		return true
	}
	v.cursor, v.shift, v.since = off, 0, e.now
	v.lead(ch.view.prefix(j))
	v.flags = v.flags&^flagBehind | flagJoined | flagFresh
	if v.slow != nil { // its socket was full while it waited
		*v.slow = slow{progress: e.now, start: off, at: -1}
	}
	v.sink.OnJoin()
	if v.bucket != nil {
		e.enqueue(v)
	}
	return true
}

// lead makes p go ahead of what is at the cursor.
func (v *Viewer) lead(p *prefix) {
	v.prefix, v.prefixOff = p, 0
	if len(p.bytes) == 0 {
		v.prefix = nil
	}
}
