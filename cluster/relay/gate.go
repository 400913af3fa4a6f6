package relay

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tmms/media"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// errFuture ends the subscription of a standby that says to have what was never made.
var errFuture = errors.New("it acknowledges what there is not")

// gate stands between the indexes that a writer makes and the readers of a life
// that has a standby: while that is in sync an index is shown once the standby has
// it, so that nobody has seen a segment which a new owner would have to name anew.
// A life without a standby has none. It is safe for concurrent use; what it calls
// of a subscription does not call it.
type gate struct {
	live *Live                     // set at construction
	made atomic.Pointer[hls.Index] // the newest, shown or not; written under mu

	telling sync.Mutex // one goroutine tells events, in their order

	mu sync.Mutex
	// Guarded by mu.
	node    string // id of the standby; "": there is none
	tell    func(StandbyEvent)
	events  []StandbyEvent // that were not told yet
	sub     *subscription  // of the standby; nil: it has none
	inSync  bool
	unacked []madeIndex   // oldest first
	acked   relaywire.Ack // by sub
	first   groupPosition // of the first packet that was acknowledged without a gap
	behind  time.Time     // since when it is too far behind; zero: it is not
	hold    time.Time     // until then indexes wait although the standby is lost
	pause   time.Time     // not in sync before
	timer   *time.Timer   // for the oldest index that waits; nil: none has
	heard   chan struct{} // closed when the standby has more, or is lost; nil: nobody waits for that
}

// madeIndex is an index that the standby has not acknowledged.
type madeIndex struct {
	index *hls.Index
	at    time.Time // when it was made; zero: before the standby came
	waits bool      // readers don't see it yet
}

func newGate(l *Live) *gate {
	g := &gate{live: l}
	g.made.Store(l.Index())
	return g
}

// publish takes the next index of the writer; nil takes it from all readers.
func (g *gate) publish(x *hls.Index) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.made.Store(x)
	waits := x != nil && g.closed(now)
	if x == nil {
		g.unacked = nil
	} else if g.node != "" {
		g.enter(madeIndex{x, now, waits})
	}
	if !waits {
		g.live.setIndex(x)
		for i := range g.unacked { // nothing older is shown behind it
			g.unacked[i].waits = false
		}
	}
	g.arm(now)
	if g.sub != nil {
		g.sub.pokeSegments()
	}
}

// poke wakes the sender of segments to the standby.
func (g *gate) poke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sub != nil {
		g.sub.pokeSegments()
	}
}

// closed tells that an index has to wait. mu is held.
func (g *gate) closed(now time.Time) bool { return g.inSync || now.Before(g.hold) }

// enter notes an index. Beyond the bound the last one stands for those that were
// made since. mu is held.
func (g *gate) enter(m madeIndex) {
	if n := len(g.unacked); n >= media.MaxStandbyUnacked {
		g.unacked[n-1].index = m.index
		g.unacked[n-1].waits = m.waits
		return
	}
	g.unacked = append(g.unacked, m)
}

// arm sets the timer for the oldest index that waits. mu is held.
func (g *gate) arm(now time.Time) {
	for _, m := range g.unacked {
		if !m.waits {
			continue
		}
		wait := m.at.Add(media.StandbyHold).Sub(now)
		if g.timer == nil {
			g.timer = time.AfterFunc(wait, g.expire)
		} else {
			g.timer.Reset(wait)
		}
		return
	}
	if g.timer != nil {
		g.timer.Stop()
	}
}

// expire shows what has waited long enough. A standby in sync is lost by that.
func (g *gate) expire() {
	now := time.Now()
	g.mu.Lock()
	due := 0
	for due < len(g.unacked) && now.Sub(g.unacked[due].at) >= media.StandbyHold {
		due++
	}
	switch {
	case due > 0 && g.inSync && g.unacked[due-1].waits:
		g.lose(lostTimeout, fmt.Sprintf("no acknowledgement of an index in %v", media.StandbyHold), now)
		g.show(len(g.unacked))
	case !g.inSync:
		g.show(due)
	}
	g.arm(now)
	g.mu.Unlock()
	g.deliver()
}

// show lets readers see the first n indexes, of which the last counts. mu is held.
func (g *gate) show(n int) {
	if n > 0 && g.unacked[n-1].waits {
		g.live.setIndex(g.unacked[n-1].index)
	}
	for i := range g.unacked[:n] {
		g.unacked[i].waits = false
	}
}

// lose notes that the standby is not in sync any more. mu is held.
func (g *gate) lose(why lostReason, text string, now time.Time) {
	if !g.inSync {
		return
	}
	g.inSync = false
	g.wake()
	g.pause = now.Add(media.StandbyPause)
	if g.sub != nil {
		g.sub.server.metrics.standby.lost(why).Inc()
	}
	g.event(StandbyEvent{Node: g.node, Reason: text})
}

// event puts e down for deliver. mu is held.
func (g *gate) event(e StandbyEvent) {
	if g.tell != nil {
		g.events = append(g.events, e)
	}
}

// deliver tells what has happened, outside of mu since the listener may be about to
// call the writer.
func (g *gate) deliver() {
	g.telling.Lock()
	defer g.telling.Unlock()
	for {
		g.mu.Lock()
		if len(g.events) == 0 {
			g.mu.Unlock()
			return
		}
		e, tell := g.events[0], g.tell
		g.events = g.events[1:]
		g.mu.Unlock()
		tell(e)
	}
}

// set names the standby, "" for none, and who is told of it.
func (g *gate) set(node string, tell func(StandbyEvent)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tell = tell
	if g.node == node {
		return
	}
	g.show(len(g.unacked))
	g.clear()
	g.node = node
}

// reset is set without a standby for a life that another writer takes over: what was
// not shown never will be.
func (g *gate) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clear()
	g.node, g.tell = "", nil
	g.made.Store(g.live.Index())
}

// clear forgets the standby. mu is held.
func (g *gate) clear() {
	if g.sub != nil {
		g.sub.standby.Store(false)
	}
	g.sub, g.inSync, g.unacked, g.events = nil, false, nil, nil
	g.wake()
	g.acked, g.first = relaywire.Ack{}, groupPosition{}
	g.behind, g.hold, g.pause = time.Time{}, time.Time{}, time.Time{}
	g.arm(time.Time{})
}

// standby is the id of the node that is to be the standby, "" none.
func (g *gate) standby() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.node
}

// attach makes s the standby's subscription, if that is node, and s the newest that
// it has.
func (g *gate) attach(s *subscription, node string) {
	now := time.Now()
	g.mu.Lock()
	defer g.deliver()
	defer g.mu.Unlock()
	if g.node != node || g.sub == s || g.sub != nil && s.began.Before(g.sub.began) {
		return
	}
	if g.sub != nil {
		g.part(lostGone, "it has subscribed anew", now)
	}
	g.sub, g.acked, g.first, g.behind = s, relaywire.Ack{}, groupPosition{}, time.Time{}
	s.standby.Store(true)
	if x := g.made.Load(); x != nil && len(g.unacked) == 0 {
		g.enter(madeIndex{index: x})
	}
	if a := s.lastAck.Load(); a != nil && !g.foreign(a) && g.possible(a) == nil {
		g.take(a, now)
	}
	s.pokeSegments()
}

// detach notes that s has ended, or is no standby's any more.
func (g *gate) detach(s *subscription, reason string) {
	g.mu.Lock()
	if g.sub == s {
		g.part(lostGone, reason, time.Now())
	}
	g.mu.Unlock()
	g.deliver()
}

// part takes the subscription off. Indexes go on to wait for as long as they would
// for an acknowledgement: if the stream has gone to the standby by now, this node is
// about to hear of it, and nobody shall see them. mu is held.
func (g *gate) part(why lostReason, reason string, now time.Time) {
	if g.inSync {
		g.hold = now.Add(media.StandbyHold)
	}
	g.lose(why, reason, now)
	g.sub.standby.Store(false)
	g.sub = nil
}

// gap notes that packets were left out for s.
func (g *gate) gap(s *subscription) {
	now := time.Now()
	g.mu.Lock()
	if g.sub == s {
		g.first = groupPosition{}
		g.fall("packets were left out for it", now)
	}
	g.mu.Unlock()
	g.deliver()
}

// fall loses a standby that does not keep up. mu is held.
func (g *gate) fall(text string, now time.Time) {
	if g.inSync {
		g.lose(lostBehind, text, now)
		g.show(len(g.unacked))
		g.arm(now)
	}
}

// check looks whether the standby keeps up; the pacer calls it at each tick.
func (g *gate) check(s *subscription, now time.Time) {
	g.mu.Lock()
	if g.sub == s && g.inSync {
		switch late := g.late(); {
		case late <= media.StandbyBehind:
			g.behind = time.Time{}
		case g.behind.IsZero():
			g.behind = now
		case now.Sub(g.behind) > media.StandbyHold:
			g.fall(fmt.Sprintf("behind by %v, the limit is %v", late, media.StandbyBehind), now)
		}
	}
	told := len(g.events) == 0
	g.mu.Unlock()
	if !told {
		g.deliver()
	}
}

// late is the stream time that the standby has not got. mu is held.
func (g *gate) late() time.Duration { return max(g.live.Reached()-g.acked.DTS, 0).Duration() }

// ack takes what the standby says to have; the error is that it can't be true.
func (g *gate) ack(s *subscription, a *relaywire.Ack) error {
	now := time.Now()
	g.mu.Lock()
	defer g.deliver()
	defer g.mu.Unlock()
	if g.sub != s || g.foreign(a) {
		return nil
	}
	if err := g.possible(a); err != nil {
		g.lose(lostProtocol, err.Error(), now)
		g.show(len(g.unacked))
		return err
	}
	g.take(a, now)
	return nil
}

// foreign tells that an acknowledgement is of a later owner's packets or indexes: the
// stream has moved, as this node is about to hear. mu is held.
func (g *gate) foreign(a *relaywire.Ack) bool {
	epoch := g.live.Epoch()
	return a.ID.Epoch > epoch || a.IndexEpoch > epoch
}

// possible tells whether there is the index that is acknowledged. mu is held.
func (g *gate) possible(a *relaywire.Ack) error {
	x := g.made.Load()
	if x != nil && compareIndex(a.IndexEpoch, a.IndexVersion, x) > 0 { // nil: it was taken back, and nothing waits
		return fmt.Errorf("%w: index %d of epoch %d, the last one is %d of %d", errFuture, a.IndexVersion, a.IndexEpoch,
			x.Version, x.Epoch)
	}
	return nil
}

// compareIndex orders an index by epoch and version against x.
func compareIndex(epoch, version uint64, x *hls.Index) int {
	return cmp.Or(cmp.Compare(epoch, x.Epoch), cmp.Compare(version, x.Version))
}

// take notes what the standby has and shows what waited for that. mu is held.
func (g *gate) take(a *relaywire.Ack, now time.Time) {
	if a.ID.Compare(g.acked.ID) >= 0 {
		// It may have more of an owner before than this one goes on from.
		g.acked.ID, g.acked.DTS = a.ID, max(min(a.DTS, g.live.Reached()), g.acked.DTS)
	}
	if g.first == (groupPosition{}) {
		g.first = groupPosition{a.ID.Epoch, a.ID.Group}
	}
	g.acked.IndexEpoch, g.acked.IndexVersion = a.IndexEpoch, a.IndexVersion
	g.wake()
	n := 0
	for n < len(g.unacked) && compareIndex(a.IndexEpoch, a.IndexVersion, g.unacked[n].index) >= 0 {
		n++
	}
	if n > 0 {
		if at := g.unacked[n-1].at; !at.IsZero() {
			g.sub.server.metrics.standby.ack.Observe(now.Sub(at).Seconds())
		}
		g.show(n)
		g.unacked = append(g.unacked[:0], g.unacked[n:]...)
		g.arm(now)
	}
	if !g.inSync && g.caughtUp(now) {
		g.inSync = true
		g.event(StandbyEvent{Node: g.node, InSync: true, Reason: "it has the newest group and index"})
	}
}

// caughtUp tells that the standby has the whole newest group, or a whole one and is
// not far behind, and every index that was not made just now. mu is held.
func (g *gate) caughtUp(now time.Time) bool {
	j, ok := g.live.NewestGroup()
	at := groupPosition{g.acked.ID.Epoch, g.acked.ID.Group}
	whole := !at.before(j.Epoch, j.Group) || g.first.before(at.epoch, at.group)
	if !ok || !whole || g.late() > media.StandbyHold || now.Before(g.pause) {
		return false
	}
	if g.made.Load() == nil {
		return true
	}
	return g.acked.IndexVersion > 0 && (len(g.unacked) == 0 || now.Sub(g.unacked[0].at) < media.StandbyHold)
}
