package relay

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"tmms/cluster/fabric"
	"tmms/media"
	"tmms/media/relaywire"
)

// agreed is the version that both ends of a session speak; 0 until both have said
// theirs, then relaywire.V1 is spoken.
type agreed struct{ v atomic.Uint32 }

func (a *agreed) set(v relaywire.Version) { a.v.Store(uint32(v)) }

func (a *agreed) version() relaywire.Version { return relaywire.Version(a.v.Load()) }

// greet says hello to the session's other end, then asks it for its clock now and
// then, until ctx or the stream ends. A node of version 1 refuses the stream.
func (l *link) greet(ctx context.Context) {
	stream, err := l.hello(ctx)
	close(l.said)
	if err != nil {
		l.agree(relaywire.V1)
		return
	}
	defer reset(stream, relaywire.CodeDone)
	defer context.AfterFunc(ctx, func() { reset(stream, relaywire.CodeDone) })()
	in := &inbox{r: stream}
	_ = stream.SetReadDeadline(time.Now().Add(media.RelayClockTimeout))
	m, err := parse(in, l.version.ParseMessage)
	hello, ok := m.(relaywire.Hello)
	if err != nil || !ok {
		l.agree(relaywire.V1)
		return
	}
	l.agree(l.version.Agree(hello.Version))
	l.compare(ctx, stream, in)
}

// agree notes what both speak. It is called once.
func (l *link) agree(v relaywire.Version) {
	l.agreed.set(v)
	close(l.answered)
}

// errNoHello is why a node that only speaks version 1 says nothing.
var errNoHello = errors.New("version 1 has no hello")

// hello opens the session's own stream.
func (l *link) hello(ctx context.Context) (*fabric.Stream, error) {
	if l.version == relaywire.V1 {
		return nil, errNoHello
	}
	stream, err := l.session.Open(ctx)
	if err != nil {
		return nil, err
	}
	stream.SetPriority(urgencyControl, false)
	b := relaywire.AppendHello(nil, relaywire.StreamSession)
	_ = stream.SetWriteDeadline(time.Now().Add(media.RelayClockTimeout))
	if _, err = stream.Write(relaywire.AppendMessage(b, relaywire.Hello{Version: l.version})); err != nil {
		reset(stream, relaywire.CodeDone)
		return nil, err
	}
	return stream, nil
}

// compare asks for the other end's clock.
func (l *link) compare(ctx context.Context, stream *fabric.Stream, in *inbox) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for asked := 1; ; asked++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		settled, err := l.exchange(stream, in)
		if err != nil {
			return
		}
		if asked < media.RelayClockBurst || !settled {
			timer.Reset(media.RelayClockQuick)
		} else {
			timer.Reset(media.RelayClockInterval)
		}
	}
}

// exchange asks once; settled: the answer agrees with those before.
func (l *link) exchange(stream *fabric.Stream, in *inbox) (settled bool, err error) {
	began := l.now()
	deadline := time.Now().Add(media.RelayClockTimeout)
	_ = stream.SetWriteDeadline(deadline)
	_ = stream.SetReadDeadline(deadline)
	ping := relaywire.Ping{Sent: began.UnixMicro()}
	if _, err = stream.Write(relaywire.AppendMessage(nil, ping)); err != nil {
		return false, err
	}
	for {
		m, err := parse(in, l.version.ParseMessage)
		now := l.now()
		if err != nil {
			return false, err
		}
		pong, ok := m.(relaywire.Pong)
		if !ok || pong.Sent != ping.Sent {
			continue
		}
		s, ok := newClockSample(pong.Sent, pong.Received, pong.Answered, now, now.Sub(began))
		return ok && l.clock.add(s), nil
	}
}

// serveSession answers a session's own stream: what the peer speaks, and what
// this node's clock shows, no more often than is of use.
func (p *peer) serveSession(ctx context.Context, stream *fabric.Stream, in *inbox) {
	if !p.greeted.CompareAndSwap(false, true) {
		reset(stream, relaywire.CodeOverflow)
		return
	}
	defer context.AfterFunc(ctx, func() { reset(stream, relaywire.CodeDone) })()
	stream.SetPriority(urgencyControl, false)
	reset(stream, p.answer(stream, in))
}

// answer serves the stream; the code says why it ends.
func (p *peer) answer(stream *fabric.Stream, in *inbox) relaywire.Code {
	version := p.server.version
	_ = stream.SetReadDeadline(time.Now().Add(media.HandshakeTimeout))
	m, err := parse(in, version.ParseMessage)
	hello, ok := m.(relaywire.Hello)
	if err != nil || !ok {
		return relaywire.CodeMalformed
	}
	_ = stream.SetReadDeadline(time.Time{})
	p.agreed.set(version.Agree(hello.Version))
	if _, err = stream.Write(relaywire.AppendMessage(nil, relaywire.Hello{Version: version})); err != nil {
		return relaywire.CodeDone
	}
	budget := newRetryBudget(media.RelayClockRate, media.RelayClockAhead)
	for {
		m, err := parse(in, version.ParseMessage)
		now := p.server.now()
		if err != nil {
			return relaywire.CodeDone
		}
		ping, ok := m.(relaywire.Ping)
		switch {
		case !budget.take(now):
			return relaywire.CodeOverflow
		case !ok:
			continue
		}
		pong := relaywire.Pong{Sent: ping.Sent, Received: now.UnixMicro(), Answered: p.server.now().UnixMicro()}
		_ = stream.SetWriteDeadline(time.Now().Add(media.RelayClockTimeout))
		if _, err = stream.Write(relaywire.AppendMessage(nil, pong)); err != nil {
			return relaywire.CodeDone
		}
	}
}
