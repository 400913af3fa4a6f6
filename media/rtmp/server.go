package rtmp

import (
	"fmt"
	"io"

	"tmms/media"
)

// Phase is how far a connection has come.
type Phase uint8

// The phases of a ServerConn.
const (
	PhaseHandshake Phase = iota
	PhaseCommand         // connected, neither publishing nor playing
	PhasePublish         // after AcceptPublish
	PhasePlay            // after AcceptPlay
)

// String gives "handshake", "command", "publish" or "play".
func (p Phase) String() string {
	return [...]string{"handshake", "command", "publish", "play"}[p&3]
}

// ServerConfig is what a ServerConn needs.
type ServerConfig struct {
	Budget *Budget   // of unfinished messages, shared by all connections; nil: no bound
	Rand   io.Reader // for the handshake; nil: crypto/rand
}

// ServerConn is the server's side of one RTMP connection. It is not safe for
// concurrent use.
type ServerConn struct {
	*serverWork // nil while parked

	group   *ServerGroup   // nil: never parked
	session *serverSession // nil before connect

	parked    [maxParked]parkedStream // parkedLen of them, while parked
	chunkSize uint32                  // of what the peer sends, while parked

	streams    uint32 // bit i: message stream i exists; bit 0 is never set
	streamID   uint32 // message stream that is published or played
	received   uint32 // bytes, modulo 2^32
	ackedIn    uint32 // received when we acknowledged last
	ackedOut   uint32 // what the peer acknowledged last
	window     uint32 // bytes of the peer's acknowledgement window
	sentWindow uint32 // bytes of the window that we announced

	phase     Phase
	paused    bool
	admitted  bool // a request was accepted once: the larger limits hold
	closed    bool
	parkedLen uint8
}

// NewServerConn starts with the handshake. Where there are many players, a
// [ServerGroup] makes smaller ones.
func NewServerConn(cfg ServerConfig) *ServerConn {
	return &ServerConn{
		serverWork: &serverWork{
			reader:    newChunkReader(cfg.Budget, media.MaxPreAuthBytes),
			handshake: newServerHandshake(cfg.Rand),
		},
		window: defaultWindow,
	}
}

// Phase is how far the connection has come.
func (c *ServerConn) Phase() Phase { return c.phase }

// Paused reports whether the player asked for a pause.
func (c *ServerConn) Paused() bool { return c.paused }

// Output is what to send now; it is valid until the next call on c.
func (c *ServerConn) Output() []byte {
	if c.serverWork == nil {
		return nil
	}
	return c.out.bytes()
}

// Sent says that the first n bytes of Output were sent.
func (c *ServerConn) Sent(n int) {
	if c.serverWork == nil {
		return
	}
	keep := keepOutbox
	if c.phase == PhasePlay {
		keep = keepOutboxPlay
	}
	c.out.sent(n, keep)
	c.park()
}

// Acked is the sequence number that the peer acknowledged last: the bytes it
// has received, modulo 2^32.
func (c *ServerConn) Acked() uint32 { return c.ackedOut }

// Close gives back what c holds of the budget. c is unusable afterwards; what
// is left in Output may still be sent.
func (c *ServerConn) Close() {
	c.closed = true
	c.group.release(c.session)
	c.group, c.session = nil, nil
	if c.serverWork != nil {
		c.reader.close()
		c.handshake, c.aggregate, c.pending = nil, nil, nil
	}
}

// Feed consumes bytes up to and including the one that completes the next
// event; feed the rest again, until EventNone. With an event n may be 0. Bodies
// and names in the event share no memory with b; Message.Body is valid until
// the next Feed. An error is final: send Output, which may hold a last word,
// and close.
func (c *ServerConn) Feed(b []byte) (n int, ev Event, err error) {
	if err = c.dead(); err != nil {
		return 0, Event{}, err
	}
	c.resume()
	c.out.compact()
	n, ev, err = c.feed(b)
	c.received += uint32(n)
	c.acknowledge()
	if err == nil {
		err = c.checkOutput()
	}
	if err != nil {
		c.err = err
		c.reader.close()
		return n, Event{}, err
	}
	c.park()
	return n, ev, nil
}

// dead is the error of a connection that can't be fed any more.
func (c *ServerConn) dead() error {
	switch {
	case c.serverWork != nil && c.err != nil:
		return c.err
	case c.closed:
		return fmt.Errorf("%w: fed after Close", ErrProtocol)
	}
	return nil
}

func (c *ServerConn) feed(b []byte) (n int, ev Event, err error) {
	if c.handshake != nil {
		var done bool
		n, c.out.buf, done, err = c.handshake.feed(b, c.out.buf)
		if err != nil || !done {
			return n, Event{}, err
		}
		c.handshake, c.phase = nil, PhaseCommand
	}
	for {
		var k int
		if c.aggregate != nil {
			k, ev, err = c.split(b[n:])
			n += k
			if err != nil || ev.Kind != EventNone || c.aggregate != nil {
				return n, ev, err
			}
		}
		var more bool
		k, ev, more, err = c.message(b[n:])
		n += k
		if err != nil || !more {
			return n, ev, err
		}
	}
}

// message consumes bytes of one message and handles it when it is whole; more
// says that there was one, and no event.
func (c *ServerConn) message(b []byte) (n int, ev Event, more bool, err error) {
	n, s, err := c.reader.next(b)
	if err != nil {
		return n, Event{Kind: EventOverBudget}, false, c.overBudget(err)
	}
	if s == nil {
		return n, Event{}, false, nil
	}
	ev, err = c.handle(s)
	switch {
	case c.aggregate != nil:
		// It may make several events, and each takes a Feed with bytes to feed.
		if n == len(b) && n > 0 {
			c.aggregate.held = true
			n--
		}
	case ev.Kind != EventMessage:
		c.reader.settle()
	}
	return n, ev, ev.Kind == EventNone, err
}

// acknowledge sends an Acknowledgement for each half window received, whether
// or not the peer ever announced a window (RTMP 1.0 section 5.4.3).
func (c *ServerConn) acknowledge() {
	if c.phase == PhaseHandshake || c.received-c.ackedIn < ackInterval(c.window) {
		return
	}
	c.ackedIn = c.received
	c.out.buf = appendControl(c.out.buf, typeAck, c.received)
}

// checkOutput closes a peer that makes us answer and does not read.
func (c *ServerConn) checkOutput() error {
	if have := c.out.len(); have > media.MaxControlOutput {
		return fmt.Errorf("%w: %d bytes of unsent answers, the limit is %d", ErrLimit, have, media.MaxControlOutput)
	}
	if have := c.out.len() + int(c.reader.partial); !c.admitted && have > media.MaxPreAuthBytes {
		return fmt.Errorf("%w: %d bytes held before publish or play, the limit is %d", ErrLimit, have, media.MaxPreAuthBytes)
	}
	return nil
}

// Ping asks the peer for a sign of life: a ping request that it answers with
// the same timestamp.
func (c *ServerConn) Ping(timestampMS uint32) {
	if c.closed {
		return
	}
	c.resume()
	c.out.buf = appendUserControl(c.out.buf, userPingRequest, timestampMS)
}

// admit enters the phase that the pending request asks for and lifts the
// limits of a stranger.
func (c *ServerConn) admit() {
	c.phase, c.admitted, c.paused = c.wanted, true, false
	c.streamID = c.pending.StreamID
	c.pending = nil
	if c.phase == PhasePublish {
		c.reader.setMode(media.MaxPartialBytes, media.KeepMessageBuffer)
		return
	}
	c.reader.playerMode()
}

// leave goes back to the command phase.
func (c *ServerConn) leave() {
	c.phase, c.paused, c.streamID = PhaseCommand, false, 0
	c.reader.setMode(c.reader.limit, 0)
}
