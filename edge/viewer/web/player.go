package web

import (
	"errors"
	"net/http"

	"tmms/edge/fanout"
	"tmms/edge/viewer"
	"tmms/media"
)

// player is a connection's part as a viewer of live FLV, plain or over WebSocket,
// or of TS.
type player struct {
	viewer  fanout.Viewer
	conn    *conn
	*socket // nil without ws
	what    want
	code    uint16 // WebSocket: close code to leave with
	ws      bool
	started bool // the answer's head was sent
	entered bool // counted by the gate
}

// socket is what a viewer over WebSocket needs besides.
type socket struct {
	accept  string // Sec-WebSocket-Accept until the head is sent
	in      []byte // an unfinished frame
	control []byte // frames that wait for the end of the one being sent
}

// serveLive makes the connection a player of the stream: exactly one per GET.
func (c *conn) serveLive(q *playing) {
	ws := q.what == wantFLV && wsWanted(q.request)
	if ws {
		c.kind = KindWebSocket
		if err := wsCheck(q.request); err != nil {
			c.fail(err, viewer.ErrProtocol)
			return
		}
	}
	if q.headOnly() {
		c.follow(c.loop.server.headLive(q))
		return
	}
	p := &player{conn: c, what: q.what, ws: ws, code: wsNormal}
	if ws {
		p.socket = &socket{accept: wsAccept(q.Header.Get("Sec-WebSocket-Key"))}
	}
	l := c.loop
	if err := l.server.gate.Enter(); err != nil {
		c.last = true
		c.follow(unavailable(err.Error(), false))
		return
	}
	p.entered = true
	c.player, c.state, c.last = p, stateLive, true
	c.rc.SetTimer(media.ParkTimeout)
	opt := l.server.options(q.target, q.what.format(ws))
	if err := l.fanout.Attach(&p.viewer, c.rc, p, opt, l.loop.Now()); err != nil {
		p.end()
		c.player = nil
		c.follow(unavailable(err.Error(), false))
	}
}

// options are those of a viewer of the target.
func (s *Server) options(t viewer.Target, format fanout.Format) fanout.Options {
	opt := fanout.Options{Key: t.Key, Format: format, Latency: t.App.Latency}
	opt.Flush, opt.FlushLimit = t.Pace(s.flush)
	return opt
}

// OnJoin implements fanout.Sink: the answer's head goes ahead of the stream.
func (p *player) OnJoin() {
	l := p.conn.loop
	h := p.what.header()
	h.close = true
	if p.ws {
		h = header{
			status: http.StatusSwitchingProtocols, length: -1,
			extra: "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + p.accept + "\r\n",
		}
		p.accept = ""
	}
	p.started = true
	p.conn.rc.StopTimer()
	l.tally.answer(p.conn.kind, h.status)
	l.out = h.append(l.out[:0], l.clock.date(l.loop.Now()))
	// An error condemns the connection, OnClose ends the viewer.
	_ = p.conn.rc.Write(l.out)
	viewer.Tune(p.conn.rc, p.viewer.FlushSize())
}

// SendControl implements fanout.Sink: pongs go in between frames.
func (p *player) SendControl() (done bool, err error) {
	b := p.control
	p.control = nil
	return true, p.conn.rc.Write(b)
}

// OnLeave implements fanout.Sink.
func (p *player) OnLeave(reason error) {
	c := p.conn
	c.state = stateClosed
	p.end()
	switch {
	case errors.Is(reason, fanout.ErrEnded):
		p.goodbye(reason)
	case errors.Is(reason, fanout.ErrNotCarried) && p.started:
		p.goodbye(reason)
	case errors.Is(reason, fanout.ErrNotCarried):
		c.player = nil
		c.follow(notCarried())
	case errors.Is(reason, fanout.ErrStopped) && c.loop.server.gate.Draining():
		p.code = wsGoingAway
		p.goodbye(viewer.ErrDraining)
	case errors.Is(reason, fanout.ErrStopped):
		p.goodbye(viewer.ErrDone)
	default: // it does not take what it is sent
		c.rc.Reset(reason)
	}
}

// goodbye ends the answer between two messages.
func (p *player) goodbye(reason error) {
	c := p.conn
	if !p.started {
		c.follow(unavailable(reason.Error(), false))
		return
	}
	if p.ws && c.rc.Write(appendWSClose(p.control, p.code)) != nil {
		return
	}
	c.rc.CloseAfterFlush(reason)
}

// onTimer gives up waiting for a publisher.
func (p *player) onTimer() {
	p.viewer.Detach()
	p.end()
	c := p.conn
	c.player = nil
	c.follow(notPublished())
}

// end gives back what the player holds.
func (p *player) end() {
	p.viewer.Detach()
	if p.entered {
		p.entered = false
		p.conn.loop.server.gate.Leave()
	}
}

// onData reads what a viewer sends: WebSocket frames; from others nothing counts.
func (p *player) onData(b []byte) {
	if !p.ws {
		return
	}
	if len(p.in) > 0 {
		p.in = append(p.in, b...)
		b = p.in
	}
	for p.conn.state == stateLive {
		f, n, err := parseWSFrame(b)
		if errors.Is(err, errWSShort) {
			p.in = append(p.in[:0], b...)
			return
		}
		if err != nil {
			p.close(wsCode(err))
			return
		}
		b = b[n:]
		p.onFrame(f)
	}
}

func wsCode(err error) uint16 {
	if errors.Is(err, errWSTooBig) {
		return wsTooBig
	}
	return wsProtocolError
}

// onFrame answers pings and the close; what else a viewer says has no meaning.
func (p *player) onFrame(f wsFrame) {
	switch f.opcode {
	case wsPing:
		if len(p.control) > media.MaxControlOutput {
			p.conn.close(viewer.ErrProtocol)
			return
		}
		p.control = appendWSControl(p.control, wsPong, f.payload)
		p.viewer.Interrupt()
	case wsClose:
		p.close(wsNormal)
	}
}

// close leaves with a close frame where the present frame ends.
func (p *player) close(code uint16) {
	p.code = code
	p.viewer.Stop()
}
