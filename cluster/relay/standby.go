package relay

import (
	"slices"
	"time"

	"tmms/cluster/pki"
	"tmms/media"
	"tmms/media/hls"
	"tmms/media/relaywire"
)

// StandbyEvent tells the owner of a stream how its standby is.
type StandbyEvent struct {
	Node string // id of the standby
	// InSync says that it has all that a new owner needs: the whole newest group and
	// the newest index with all its segments. Readers see an index from then on only
	// once it has that too. Not in sync: it does not keep up, or is gone, and readers
	// see each index at once.
	InSync bool
	Reason string // for logs
}

// SetStandby says which node, by its id, is the stream's standby, "" for none, as
// the placement has it. tell is called with each change of what is known of it, one
// after another, from any goroutine; it must not block, and not call the writer.
// Naming the same node again changes nothing but tell.
func (w *Writer) SetStandby(node string, tell func(StandbyEvent)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone {
		return
	}
	g := w.live.gate.Load()
	switch {
	case g != nil:
		g.set(node, tell)
	case node != "":
		g = newGate(w.live)
		g.set(node, tell)
		w.live.gate.Store(g)
	}
}

// Made is the newest index that was published, which readers may not see before
// the standby has it; nil: none was.
func (l *Live) Made() *hls.Index {
	if g := l.gate.Load(); g != nil {
		return g.made.Load()
	}
	return l.Index()
}

// publishIndex shows an index to readers, now or once the standby has it.
func (l *Live) publishIndex(x *hls.Index) {
	if g := l.gate.Load(); g != nil {
		g.publish(x)
		return
	}
	l.setIndex(x)
}

// ungate opens the gate of a life that ends, or goes to another writer; with drop
// what waits is never shown.
func (l *Live) ungate(drop bool) {
	g := l.gate.Load()
	switch {
	case g == nil:
	case drop:
		g.reset()
	default:
		g.set("", nil)
	}
}

// StandbyState tells how the standby is: its node id, "" if there is none, whether
// it is in sync, and the stream time, in ms, that it has not acknowledged.
func (l *Live) StandbyState() (node string, inSync bool, behind media.Timestamp) {
	g := l.gate.Load()
	if g == nil {
		return "", false, 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.node == "" {
		return "", false, 0
	}
	return g.node, g.inSync, max(l.Reached()-g.acked.DTS, 0)
}

// claim notes whether the subscriber says that it is the stream's standby. Only the
// placement makes it that, see attend.
func (s *subscription) claim(on bool) {
	s.claims.Store(on)
	if live := s.live.Load(); !on && live != nil {
		if g := live.gate.Load(); g != nil {
			g.detach(s, "it is no standby any more")
		}
	}
}

// attended tells that the pacer has to look after the subscription as a standby's.
func (s *subscription) attended(live *Live) *gate {
	if s.down != nil || !s.claims.Load() {
		return nil
	}
	return live.gate.Load()
}

// attend makes the subscription the standby's if it is that, and looks after it.
func (s *subscription) attend(g *gate, now time.Time) {
	if s.standby.Load() {
		g.check(s, now)
		return
	}
	if node := g.standby(); node != "" && s.isStandby(node) {
		g.attach(s, node)
	}
}

// isStandby tells that the subscriber is the node with that id, by its certificate,
// and that this node's copy of the placements has it as the standby.
func (s *subscription) isStandby(node string) bool {
	who := s.peer.session.Peer()
	n, known := s.server.cluster.Node(node)
	p, placed := s.server.cluster.Placement(s.request.Key)
	return known && placed && n.Name == who.Name && who.Has(pki.RoleOrigin) && p.Standby == node &&
		slices.Contains(n.Roles, pki.RoleOrigin)
}

// isNamed tells that the subscriber says that it is the standby, and is.
func (s *subscription) isNamed() bool {
	if s.down != nil || !s.claims.Load() {
		return false
	}
	p, placed := s.server.cluster.Placement(s.request.Key)
	return placed && p.Standby != "" && s.isStandby(p.Standby)
}

// acknowledged takes what the subscriber says to have; an error ends the subscription.
func (s *subscription) acknowledged(a relaywire.Ack) error {
	if !s.claims.Load() {
		return nil
	}
	s.lastAck.Store(&a)
	live := s.live.Load()
	if live == nil {
		return nil
	}
	if g := live.gate.Load(); g != nil {
		return g.ack(s, &a)
	}
	return nil
}

// standbyGone tells the gate that the subscription is over.
func (s *subscription) standbyGone(why string) {
	if live := s.live.Load(); live != nil {
		if g := live.gate.Load(); g != nil {
			g.detach(s, why)
		}
	}
}

// pokeSegments wakes the sender of segments.
func (s *subscription) pokeSegments() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hls != nil {
		s.hls.poke()
	}
}
