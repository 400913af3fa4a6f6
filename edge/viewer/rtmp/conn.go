package rtmp

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"tmms/edge/fanout"
	"tmms/edge/reactor"
	"tmms/edge/viewer"
	"tmms/media"
	wire "tmms/media/rtmp"
)

// conn is one RTMP connection, as long as it does not publish.
type conn struct {
	rc      *reactor.Conn
	loop    *Loop
	rtmp    *wire.ServerConn
	viewer  fanout.Viewer
	play    *fanout.Options // what is to be played next: after a pause, or when a stopped play has left
	opened  time.Duration   // loop time
	shaken  bool            // the handshake is over
	entered bool            // counted by the gate; not while paused
	able    bool            // counted by the server as one that can reconnect, while entered
	ended   bool            // the stream that was played has ended
	gone    bool            // closed or handed over
}

// OnData implements reactor.Protocol.
func (c *conn) OnData(_ *reactor.Conn, b []byte) {
	for !c.gone {
		n, ev, err := c.rtmp.Feed(b)
		b = b[n:]
		if err != nil {
			c.fail(err)
			return
		}
		if !c.shaken && c.rtmp.Phase() != wire.PhaseHandshake {
			c.shaken = true
			c.rc.SetTimer(media.IdentifyTimeout - (c.loop.loop.Now() - c.opened))
		}
		if ev.Kind == wire.EventNone {
			break
		}
		c.handle(&ev, b)
	}
	if !c.gone {
		c.reply()
	}
}

// OnWritable implements reactor.Protocol.
func (c *conn) OnWritable(*reactor.Conn) {
	if c.viewer.Attached() {
		c.viewer.OnWritable()
		return
	}
	c.reply()
}

// OnTimer implements reactor.Protocol.
func (c *conn) OnTimer(*reactor.Conn) {
	if c.loop.server.cfg.Gate.Draining() && c.viewer.Attached() {
		c.viewer.Stop() // it was asked to reconnect, or to leave
		return
	}
	c.viewer.Detach() // it has waited long enough, for a publisher or to go on after a pause
	c.rtmp.EndPlay()
	if c.ended {
		c.farewell(fanout.ErrEnded)
		return
	}
	c.farewell(viewer.ErrTimeout)
}

// OnClose implements reactor.Protocol.
func (c *conn) OnClose(rc *reactor.Conn, reason error) {
	c.gone = true
	c.viewer.Detach()
	c.exit()
	c.rtmp.Close()
	cfg := &c.loop.server.cfg
	cfg.Gate.Ended(reason)
	cfg.Log.Debug("rtmp connection closed", slog.String("remote", rc.Remote().String()), slog.Any("err", reason))
}

// handle does what the peer asks for; rest is what was received behind it.
func (c *conn) handle(ev *wire.Event, rest []byte) {
	switch ev.Kind {
	case wire.EventPublish:
		c.publish(ev.Request, rest)
	case wire.EventPlay:
		c.start(ev.Request)
	case wire.EventPause:
		c.pause(ev.Paused)
	case wire.EventStop:
		c.stop()
	case wire.EventOverBudget:
		c.fail(wire.ErrBudget)
	default:
	}
}

// publish gives the connection away, or refuses if this node takes no publishers.
func (c *conn) publish(r *wire.Request, rest []byte) {
	s := c.loop.server
	if s.cfg.Publish == nil {
		c.refusePublisher(r)
		return
	}
	unread := slices.Clone(rest)
	open, err := c.rc.Take()
	if err != nil {
		c.fail(err)
		return
	}
	c.gone = true
	s.handOver(open, Handover{RTMP: c.rtmp, Request: r, Unread: unread})
}

// start makes the connection a player.
func (c *conn) start(r *wire.Request) {
	cfg := &c.loop.server.cfg
	t, err := viewer.Find(cfg.Apps, r.Host, override(r), r.App, r.Stream)
	if err == nil && !t.App.RTMP {
		err = fmt.Errorf("%w: RTMP is switched off for app %s", viewer.ErrRefused, t.App.Name)
	}
	if err != nil {
		c.rtmp.RejectPlay("NetStream.Play.StreamNotFound", err.Error())
		c.farewell(viewer.ErrRefused)
		return
	}
	if err = c.enter(); err != nil {
		c.refusePlayer(r, t, err)
		return
	}
	c.ended = false
	c.rc.Identified()
	c.rtmp.AcceptPlay()
	opt := fanout.Options{Key: t.Key, Format: fanout.RTMP, Latency: t.App.Latency, Takes: r.FourCCs}
	opt.Flush, opt.FlushLimit = t.Pace(cfg.Flush)
	c.attach(opt)
	c.AskToMove()
	c.suggest(r, t)
}

// attach joins the stream. If the message of a play that was stopped is still
// under way, OnLeave does it at that message's end.
func (c *conn) attach(opt fanout.Options) {
	if c.viewer.Attached() {
		later := opt // so that opt does not escape
		c.play = &later
		return
	}
	c.play = nil
	c.reply()
	if c.gone {
		return
	}
	c.rc.SetTimer(media.WaitTimeout)
	l := c.loop
	if err := l.fanout.Attach(&c.viewer, c.rc, c, opt, l.loop.Now()); err != nil {
		c.rtmp.EndPlay()
		c.farewell(err)
		return
	}
	if !c.gone && len(c.rtmp.Output()) > 0 {
		c.viewer.Interrupt()
	}
}

// pause stops sending, or goes on at a keyframe. Who is paused is no viewer.
func (c *conn) pause(paused bool) {
	switch {
	case paused:
		if c.play == nil && c.viewer.Attached() {
			opt := c.viewer.Options()
			c.play = &opt
		}
		c.exit()
		c.rc.SetTimer(media.PauseTimeout)
		c.viewer.Stop()
	case !c.entered && c.play != nil:
		if err := c.enter(); err != nil {
			c.rtmp.EndPlay()
			c.farewell(err)
			return
		}
		c.attach(*c.play)
	}
}

// stop ends the play; the peer may ask for another one.
func (c *conn) stop() {
	c.play = nil
	c.exit()
	c.rc.SetTimer(media.WaitTimeout)
	c.viewer.Stop()
}

// enter takes a place at the gate for the player.
func (c *conn) enter() error {
	s := c.loop.server
	if err := s.cfg.Gate.Enter(); err != nil {
		return err
	}
	c.entered = true
	if c.able = c.rtmp.Caps()&wire.CapsReconnect != 0; c.able {
		s.able.Add(1)
	}
	return nil
}

// exit gives the player's place at the gate back.
func (c *conn) exit() {
	if !c.entered {
		return
	}
	c.entered = false
	c.loop.server.cfg.Gate.Leave()
	if c.able {
		c.loop.server.able.Add(-1)
	}
}

// reply sends the parser's answers, between messages if there is a stream.
func (c *conn) reply() {
	switch {
	case len(c.rtmp.Output()) == 0:
	case c.viewer.Attached():
		c.viewer.Interrupt()
	default:
		if _, err := c.SendControl(); err != nil {
			c.gone = true
		}
	}
}

// fail closes a connection that broke the protocol.
func (c *conn) fail(err error) {
	if errors.Is(err, wire.ErrHTTP) {
		c.gone = true
		if c.rc.Write([]byte(notHTTP)) == nil {
			c.rc.CloseAfterFlush(fmt.Errorf("%w: %w", viewer.ErrProtocol, err))
		}
		return
	}
	c.farewell(fmt.Errorf("%w: %w", viewer.ErrProtocol, err))
}

// notHTTP answers a browser that was sent to the wrong port.
const notHTTP = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Content-Length: 23\r\n\r\nthis port speaks RTMP.\n"

// farewell sends what is still to be said and closes. Inside a message nothing
// can be said.
func (c *conn) farewell(reason error) {
	c.gone = true
	c.exit()
	if c.viewer.Attached() && c.viewer.InMessage() {
		c.rc.Close(reason)
		return
	}
	c.viewer.Detach()
	if out := c.rtmp.Output(); len(out) > 0 && c.rc.Write(out) != nil {
		return
	}
	c.rc.CloseAfterFlush(reason)
}

// override is the domain that the query asks for.
func override(r *wire.Request) string {
	if d := r.Param("domain"); d != "" {
		return d
	}
	return r.Param("vhost")
}

// OnJoin implements fanout.Sink.
func (c *conn) OnJoin() {
	if !c.loop.server.cfg.Gate.Draining() {
		c.rc.StopTimer()
	}
	viewer.Tune(c.rc, c.viewer.FlushSize())
}

// SendControl implements fanout.Sink.
func (c *conn) SendControl() (done bool, err error) {
	out := c.rtmp.Output()
	if len(out) == 0 {
		return true, nil
	}
	n, err := c.rc.Send(out)
	if err != nil {
		return false, err
	}
	c.rtmp.Sent(n)
	return n == len(out), nil
}

// OnLeave implements fanout.Sink.
func (c *conn) OnLeave(reason error) {
	switch {
	case c.gone:
	case errors.Is(reason, fanout.ErrStopped):
		c.stopped()
	case isCodecError(reason):
		c.rtmp.FailPlay("NetStream.Play.Failed", reason.Error())
		c.farewell(fmt.Errorf("%w: %w", viewer.ErrRefused, reason))
	case errors.Is(reason, fanout.ErrEnded):
		c.rtmp.EndPlay()
		c.exit()
		c.play, c.ended = nil, true
		c.rc.SetTimer(media.IdentifyTimeout) // for another play
		c.reply()
	default: // it does not take what it is sent
		c.gone = true
		c.rc.Reset(reason)
	}
}

func isCodecError(err error) bool {
	_, ok := errors.AsType[*fanout.CodecError](err)
	return ok
}

// stopped goes on after a play has stopped at a message's end: with what was
// asked for meanwhile.
func (c *conn) stopped() {
	if c.loop.server.cfg.Gate.Draining() {
		c.rtmp.EndPlay()
		c.farewell(viewer.ErrDraining)
		return
	}
	c.reply()
	if c.play != nil && !c.rtmp.Paused() && !c.gone {
		c.attach(*c.play)
	}
}
