package fabric

import (
	"time"

	"tmms/cluster/fabric/path"
	"tmms/media"
)

// Lanes is how many sessions side by side to a node are of use for media just
// now: 1, or [media.FabricLanes] if the path is long and has not been proven to
// lose nothing. QUIC's windows grow by one packet a round trip and halve with a
// loss that was not repaired; several do so apart. It is known once any session
// with the node lives. Sessions that are there stay as they are.
func (f *Fabric) Lanes(to Target) int {
	switch f.conduit.recovery {
	case RecoveryNone, RecoveryFEC:
		return 1
	case RecoveryLanes, RecoveryBoth:
		return media.FabricLanes
	case RecoveryAdaptive:
	}
	if w := f.conduit.wayTo(to.Name); w != nil {
		return w.lanes()
	}
	return 1
}

// PathStats tells what is known about the path to a node; false: no session with it lives.
func (f *Fabric) PathStats(name string) (path.Stats, bool) {
	w := f.conduit.wayTo(name)
	if w == nil {
		return path.Stats{}, false
	}
	return w.stats(), true
}

// wayTo gives the way to a node with the most sessions.
func (c *conduit) wayTo(name string) (best *way) {
	most := 0
	for _, w := range *c.ways.Load() {
		if w.name != name {
			continue
		}
		if n := w.count(); n > most {
			best, most = w, n
		}
	}
	return best
}

func (w *way) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sessions)
}

func (w *way) lanes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calm || w.shortest() < path.NearRoundTrip {
		return 1
	}
	return media.FabricLanes
}

// stats adds up what w knows.
func (w *way) stats() path.Stats {
	lanes := w.lanes()
	w.mu.Lock()
	defer w.mu.Unlock()
	return path.Stats{RoundTrip: w.control.RoundTrip(), Lanes: lanes, Out: w.outbound(), In: w.inbound()}
}

// outbound adds up what was sent. mu is held.
func (w *way) outbound() path.Outbound {
	o := w.sent
	o.Mode, o.Loss = w.control.Mode(), w.control.Loss()
	o.Queue, o.Congested = w.control.Queue()
	if w.sender == nil {
		return o
	}
	c := w.sender.Counts()
	o.Sent += c.Sources
	o.SentBytes += c.SourceBytes
	o.Parity += c.Repairs
	o.ParityBytes += c.RepairBytes
	o.ResendBytes += c.ResendBytes
	o.Lost += w.far.Lost
	o.Repaired += w.far.Repaired
	o.Resent += w.far.Resent
	o.Unrepaired += w.far.Unrepaired
	return o
}

// inbound adds up what has come. mu is held.
func (w *way) inbound() path.Inbound {
	in := w.got
	in.Coding, in.Congested = false, false
	if w.receiver == nil {
		return in
	}
	now := w.conduit.now()
	c := w.receiver.Counts(now)
	in.Coding = now-w.receiver.Heard() < calmSpell && c.Received > 0
	in.Congested = c.Congested
	in.Received += uint64(c.Received)
	in.Lost += uint64(c.Lost)
	in.Repaired += uint64(c.Repaired)
	in.Resent += uint64(c.Resent)
	in.Unrepaired += uint64(c.Unrepaired)
	return in
}

// shortest is the least round trip of the sessions. mu is held.
func (w *way) shortest() (least time.Duration) {
	for s := range w.sessions {
		if rtt := s.conn.ConnectionStats().MinRTT; rtt > 0 && (least == 0 || rtt < least) {
			least = rtt
		}
	}
	return least
}
