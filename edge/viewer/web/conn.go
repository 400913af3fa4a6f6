package web

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"tmms/edge/fanout"
	"tmms/edge/reactor"
	"tmms/edge/viewer"
	"tmms/media"
)

// connState is what a connection is doing.
type connState uint8

const (
	stateHead   connState = iota // waits for a request head
	stateBody                    // sends an answer's body
	stateParked                  // waits for a playlist or a segment
	stateLive                    // plays, or waits for, a live stream
	stateClosed
)

// Budgets of one connection; see allowance for those of all.
const (
	// pipeline bounds the requests of one connection that are answered in one go:
	// 64 KiB that are read hold two thousand.
	pipeline = 32
	// unsent bounds what the kernel takes of a body beyond what is on its way: a
	// peer that stops reading costs that, and not the 4 MiB of a send buffer,
	// which also take milliseconds to fill.
	unsent = 256 << 10
)

// conn is one HTTP connection.
type conn struct {
	rc     *reactor.Conn
	loop   *Loop
	in     []byte // bytes that are not understood yet
	body   body
	wait   *waiting // stateParked
	party  *party   // of those that wait for the same stream
	player *player  // stateLive
	viewer *session // that the present answer of HLS is for; nil: not known, or another answer
	seat   uint32   // in party.conns
	secure bool     // over TLS
	asked  bool     // a request was understood
	last   bool     // close after the present answer
	old    bool     // the present request is of HTTP/1.0 and asks to keep the connection
	timed  bool     // the present head's deadline runs
	queued bool     // in loop.ready
	over   bool     // stateParked: it has waited long enough
	tuned  bool     // unsent is set
	hls    bool     // the present answer is a playlist or a segment
	kind   Kind     // of the present request
	state  connState
}

// OnData implements reactor.Protocol.
func (c *conn) OnData(_ *reactor.Conn, b []byte) {
	switch c.state {
	case stateHead:
		c.feed(b)
	case stateBody, stateParked:
		c.stash(b)
	case stateLive:
		c.player.onData(b)
	case stateClosed:
	}
}

// OnWritable implements reactor.Protocol.
func (c *conn) OnWritable(*reactor.Conn) {
	switch c.state {
	case stateBody:
		if !c.queued { // else its turn comes
			c.send()
		}
	case stateLive:
		c.player.viewer.OnWritable()
	case stateHead, stateParked, stateClosed:
	}
}

// OnTimer implements reactor.Protocol.
func (c *conn) OnTimer(*reactor.Conn) {
	switch c.state {
	case stateHead:
		if len(c.in) > 0 {
			c.fail(refuse(http.StatusRequestTimeout, "request head took too long"), viewer.ErrTimeout)
			return
		}
		c.close(viewer.ErrTimeout)
	case stateBody:
		if c.queued { // it waits for us
			c.rc.SetTimer(media.StallTimeout)
			return
		}
		c.close(fanout.ErrStalled)
	case stateParked:
		c.loop.waits.expire(c)
	case stateLive:
		c.player.onTimer()
	case stateClosed:
	}
}

// OnClose implements reactor.Protocol.
func (c *conn) OnClose(rc *reactor.Conn, reason error) {
	if w := c.wait; w != nil {
		c.loop.waits.remove(c)
		w.stream.release(c.loop.loop.Now())
	}
	if c.player != nil {
		c.player.end()
	}
	s := c.loop.server
	if errors.Is(reason, viewer.ErrTimeout) && c.asked {
		reason = viewer.ErrDone // an idle connection that was of use
	}
	s.gate.Ended(reason)
	s.log.Debug("http connection closed", slog.String("remote", rc.Remote().String()), slog.Any("err", reason))
	c.body.drop()
	*c = conn{state: stateClosed}
}

func (c *conn) close(reason error) {
	c.state = stateClosed
	c.rc.Close(reason)
}

// stash keeps bytes that came while an answer is under way.
func (c *conn) stash(b []byte) {
	if len(c.in)+len(b) > media.MaxHTTPHead {
		c.close(viewer.ErrProtocol)
		return
	}
	c.in = append(c.in, b...)
}

// feed understands requests and answers them, one after the other, for as long
// as answers go out at once.
func (c *conn) feed(b []byte) {
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	for n := 0; c.state == stateHead; n++ {
		if n == pipeline {
			c.loop.later(c)
			break
		}
		b = skipEmptyLines(b)
		n, err := headLength(b)
		if err != nil {
			c.fail(err, viewer.ErrProtocol)
			return
		}
		if n == 0 {
			c.await(b)
			return
		}
		r, err := c.loop.parser.parse(b[:n])
		b = b[n:]
		if err != nil {
			c.fail(err, viewer.ErrProtocol)
			return
		}
		c.accepted()
		c.old = !r.ProtoAtLeast(1, 1) && r.keepAlive()
		c.last = c.last || !r.keepAlive() || c.loop.server.gate.Draining()
		c.serve(r)
	}
	if c.state == stateClosed {
		return
	}
	if c.state == stateLive {
		b = nil // nothing that follows such a request is a request
	}
	if len(b) > media.MaxHTTPHead {
		c.close(viewer.ErrProtocol)
		return
	}
	c.keep(b)
}

// await keeps the beginning of a head, whose deadline runs from its first byte.
func (c *conn) await(b []byte) {
	c.keep(b)
	if len(b) > 0 && !c.timed {
		c.timed = true
		c.rc.SetTimer(media.HandshakeTimeout)
	}
}

// keep makes b, which may be the end of c.in, the bytes not understood yet.
func (c *conn) keep(b []byte) {
	if len(b) == 0 {
		c.in = nil
		return
	}
	c.in = append(c.in[:0], b...)
}

func (c *conn) accepted() {
	c.timed = false
	c.rc.StopTimer()
	if !c.asked {
		c.asked = true
		c.rc.Identified()
	}
}

// skipEmptyLines drops empty lines in front of a request (RFC 9112 section 2.2).
func skipEmptyLines(b []byte) []byte {
	for len(b) >= 2 && b[0] == '\r' && b[1] == '\n' {
		b = b[2:]
	}
	return b
}

// serve answers one request.
func (c *conn) serve(r *request) {
	q := asking{request: r, from: c.rc.Remote().Addr(), bare: !c.secure}
	decided := c.loop.server.decide(q, c.loop.loop.Now())
	c.kind = decided.kind
	c.follow(decided)
}

// follow does what was decided about a request.
func (c *conn) follow(r reply) {
	if r.sweep {
		c.loop.touched()
	}
	switch {
	case r.play != nil:
		c.serveLive(r.play)
	case r.wait != nil:
		if !c.park(r.wait) {
			c.follow(r.wait.refuse(c.loop.loop.Now()))
		}
	default:
		c.last = c.last || r.last
		c.hls, c.viewer = r.hls, r.viewer
		c.answer(r)
	}
}

// answer sends a head and a body, and then waits for the next request.
func (c *conn) answer(r reply) {
	h, b := r.header, r.body
	h.close = c.last
	if c.old && !c.last {
		h.extra += "Connection: keep-alive\r\n" // else it waits for the end (RFC 9112 appendix C.2.2)
	}
	l := c.loop
	l.tally.answer(c.kind, h.status)
	if c.secure {
		h.altSvc = l.server.altSvc
	}
	l.out = h.append(l.out[:0], l.clock.date(l.loop.Now()))
	const small = 16 << 10 // goes out in one piece with the head
	lead := small
	if b.left > small && l.bodies.over() {
		lead = 0
	}
	for b.left > 0 && len(l.out) < lead {
		piece := b.next(lead - len(l.out))
		l.out = append(l.out, piece...)
		c.count(len(piece))
		b.sent(len(piece))
	}
	if r.file != nil {
		b = r.file.rest(b)
	}
	c.body = b
	start := time.Now()
	if err := c.rc.Write(l.out); err != nil {
		c.state = stateClosed
		return
	}
	l.bodies.spend(len(l.out), start)
	if b.left > unsent && !c.tuned {
		c.tuned = c.rc.SetNotSentLowat(unsent) == nil // else the peer may cost more
	}
	c.state = stateBody
	c.rc.SetTimer(media.StallTimeout)
	c.pump()
}

// send goes on with an answer, then with the requests that came meanwhile.
func (c *conn) send() {
	if c.state == stateBody {
		c.pump()
	}
	c.resume()
}

// resume looks at the bytes that came while an answer was under way.
func (c *conn) resume() {
	if c.state == stateHead {
		c.feed(nil)
	}
}

// pump sends of the body until the socket is full, or the turn's share or what
// all connections have together is used up.
func (c *conn) pump() {
	bodies := &c.loop.bodies
	for share := turnShare; c.body.left > 0; {
		if share <= 0 || bodies.over() {
			c.loop.later(c)
			return
		}
		start := time.Now()
		n, asked, err := c.sendPiece()
		bodies.spend(n, start)
		if err != nil {
			c.close(err)
			return
		}
		if n > 0 {
			c.count(n)
			c.body.sent(n)
			c.rc.SetTimer(media.StallTimeout)
		}
		if n < asked {
			return
		}
		share -= n
	}
	if c.rc.Pending() == 0 {
		c.answered()
	}
}

// sendPiece gives the socket the next piece of the body. Of a file that is all
// that the turn's share may have: nothing is copied.
func (c *conn) sendPiece() (n, asked int, err error) {
	if f := c.body.file; f != nil {
		asked = min(int(c.body.left), turnShare)
		n, err = c.rc.SendFile(f.fd, int64(c.body.off), asked) // c.body holds f
		return n, asked, err
	}
	piece := c.body.next(pieceSize)
	n, err = c.rc.Send(piece)
	return n, len(piece), err
}

func (c *conn) count(n int) {
	c.loop.sent += int64(n)
	c.loop.server.count(c.hls, c.viewer, n)
}

// answered ends an answer whose bytes the socket has taken.
func (c *conn) answered() {
	c.hls, c.viewer, c.kind = false, nil, KindOther
	if c.last {
		c.state = stateClosed
		c.rc.CloseAfterFlush(viewer.ErrDone)
		return
	}
	c.state = stateHead
	c.rc.SetTimer(media.KeepAliveTimeout)
}

// fail answers what can't be understood, and closes.
func (c *conn) fail(err, cause error) {
	r := refused(err)
	r.header.close = true
	c.last = true
	l := c.loop
	l.tally.answer(c.kind, r.header.status)
	l.out = r.header.append(l.out[:0], l.clock.date(l.loop.Now()))
	l.out = append(l.out, r.body.next(len(r.body.chunks[0]))...)
	c.state = stateClosed
	if c.rc.Write(l.out) == nil {
		c.rc.CloseAfterFlush(cause)
	}
}
