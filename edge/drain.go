package edge

import (
	"context"
	"fmt"
	"time"

	"tmms/edge/fanout"
)

// Divert says whether viewers who come are sent to other nodes, where Deps name
// one and their protocol lets them follow; all others are served as ever. Who is
// there stays, but for players that can reconnect, which are asked to. An error is
// ctx's: some players were not asked.
func (e *Edge) Divert(ctx context.Context, on bool) error {
	e.gate.Divert(on)
	if !on {
		return nil
	}
	return e.tell(ctx, (*fanout.Engine).MoveAll)
}

// Release ends the streams of viewers over HTTP, each where a message ends: those
// who come again and then follow Divert. An error is ctx's: some are left.
func (e *Edge) Release(ctx context.Context) error {
	return e.tell(ctx, func(f *fanout.Engine) { f.StopThose(fanout.FLV, fanout.TS) })
}

// tell has something done by each loop's engine, on its loop; it returns when all
// have been told.
func (e *Edge) tell(ctx context.Context, what func(*fanout.Engine)) error {
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for i, l := range e.reactor.Loops() {
		for !l.Post(func() { what(e.engines[i]) }) { // its mailbox is full
			select {
			case <-ctx.Done():
				return fmt.Errorf("edge: loop %d was not told: %w", i, context.Cause(ctx))
			case <-ticker.C:
			}
		}
	}
	return nil
}

// drainPoll is how often Drain looks for what is left, and a full mailbox is tried.
const drainPoll = 20 * time.Millisecond

// Drain stops accepting and asks every viewer to leave, each where a message
// ends; RTMP players that can reconnect have media.ReconnectTimeout for it, and
// HLS viewers are told to come by another connection. It returns when the
// streaming viewers are gone, or with ctx's error.
func (e *Edge) Drain(ctx context.Context) error {
	e.gate.Drain()
	if e.https != nil {
		e.https.server.Drain()
	}
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	asked := make([]bool, len(e.engines))
	listening := true
	for {
		if listening {
			listening = !e.reactor.StopListening()
		}
		for i, l := range e.reactor.Loops() {
			asked[i] = asked[i] || l.Post(e.engines[i].StopAll)
		}
		if !listening && e.gate.Viewers() == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("edge: %d viewers left: %w", e.gate.Viewers(), context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// Reconnectable is the number of players that Drain would ask to reconnect, and so
// wait for.
func (e *Edge) Reconnectable() int64 { return e.rtmp.Reconnectable() }
