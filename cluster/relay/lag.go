package relay

import (
	"strconv"
	"time"

	"tmms/media"
	"tmms/media/relaywire"
)

// upstream is the way on which a life's packets have come to this node.
type upstream struct {
	hop int // nodes between, with the owner: 1 from the owner itself
	// By how much the owner's clock is ahead of that of the node which sends, and
	// how far off that may be, in microseconds; known: it is known.
	skew, bound int64
	known       bool
	clock       *clock // of the node which sends
}

func newUpstream(t *relaywire.Times, c *clock) *upstream {
	if t == nil { // a node of version 1 is no shield: it is the owner
		return &upstream{hop: 1}
	}
	return &upstream{hop: int(t.Hop), skew: t.Skew, bound: t.Bound, known: t.SkewKnown, clock: c}
}

// ahead is by how much the owner's clock is ahead of this node's.
func (u *upstream) ahead(now time.Time) (skew, bound int64, ok bool) {
	offset, b, ok := u.clock.offset(now)
	return offset + u.skew, b + u.bound, ok && u.known
}

// times is what a group header tells the next node.
func (l *Live) times(now time.Time) *relaywire.Times {
	t := &relaywire.Times{Hop: 1, Sent: now.UnixMicro(), SkewKnown: true}
	u := l.upstream.Load()
	if u == nil {
		return t
	}
	t.Hop = uint8(min(u.hop+1, 1<<8-1)) //nolint:gosec // within the limit
	t.Skew, t.Bound, t.SkewKnown = u.ahead(now)
	t.SkewKnown = t.SkewKnown && t.Bound <= relaywire.MaxBound
	return t
}

// times are for the header of a group; nil: the subscriber does not know them.
func (s *subscription) times() *relaywire.Times {
	if s.peer.agreed.version() < relaywire.V2 {
		return nil
	}
	return s.live.Load().times(s.server.now())
}

// lagSmooth is the weight of a new sample: 1/8.
const lagSmooth = 8

// lagMeter measures how late a subscription's packets come. Owned by pull.mu.
type lagMeter struct {
	up  *upstream // of the packets that come now; nil before the first
	hop Delay     // from the sending node to this one
	all Delay     // from the owner's stamp to this node
}

// Delay is a measured time between two nodes.
type Delay struct {
	Mean time.Duration // over the last samples
	Last time.Duration
	At   time.Time // of the last sample; zero: there is none
	// Bound is how far off it may be, by what is known of the clocks. Without
	// Corrected the clocks were not compared: it is as wrong as they are.
	Bound     time.Duration
	Corrected bool
}

func (d *Delay) add(us, bound int64, corrected bool, now time.Time) {
	d.Last = max(time.Duration(us)*time.Microsecond, 0)
	if d.At.IsZero() || d.Corrected != corrected {
		d.Mean = d.Last
	}
	d.Mean += (d.Last - d.Mean) / lagSmooth
	d.At, d.Corrected, d.Bound = now, corrected, time.Duration(bound)*time.Microsecond
}

// arrived notes when a group's header came. pull.mu is held.
func (in *intake) arrived(h *relaywire.GroupHeader) {
	if h.Times == nil || in.link == nil {
		return
	}
	now := in.pull.puller.now()
	offset, bound, ok := in.link.clock.offset(now)
	if !ok {
		return
	}
	in.lag.hop.add(now.UnixMicro()-h.Times.Sent+offset, bound, true, now)
	in.pull.puller.metrics.hop(int(h.Times.Hop)).Observe(in.lag.hop.Last.Seconds())
}

// follow notes the way of the packets that come now. pull.mu is held.
func (in *intake) follow(h *relaywire.GroupHeader) {
	if in.link == nil {
		return
	}
	in.lag.up = newUpstream(h.Times, &in.link.clock)
	if w := in.pull.writer; w != nil {
		w.live.upstream.Store(in.lag.up)
	}
}

// late notes how late a packet came. As long as the clocks have not been compared
// it tells nothing, unless they never will be. pull.mu is held.
func (in *intake) late(p *media.Packet) {
	if in.link == nil || in.lag.up == nil {
		return
	}
	now := in.pull.puller.now()
	skew, bound, ok := in.lag.up.ahead(now)
	if !ok && in.link.agreed.version() != relaywire.V1 {
		return
	}
	if !ok {
		skew, bound = 0, 0
	}
	in.lag.all.add(now.UnixMicro()-p.Ingested+skew, bound, ok, now)
	in.pull.lag = in.lag.all.Last
	in.pull.puller.metrics.lag.Observe(in.lag.all.Last.Seconds())
}

// LagInfo says how late a pulled stream comes.
type LagInfo struct {
	Source  string // id of the node that sends it
	Peer    string // its name; "" before there is a session
	Version int    // of the protocol that both speak
	Hop     int    // nodes between, with the owner: 1 from the owner itself; 0: not known yet
	Way     Delay  // of a group's header, from the source to this node
	Lag     Delay  // of packets, from the owner's stamp to this node
}

// Lag tells how late a stream comes; false: this node does not pull it, or is not
// subscribed.
func (p *Puller) Lag(key media.StreamKey) (LagInfo, bool) {
	p.mu.Lock()
	pl := p.pulls.Get(key)
	p.mu.Unlock()
	if pl == nil {
		return LagInfo{}, false
	}
	pl.mu.Lock()
	defer pl.mu.Unlock()
	in := pl.source
	if in == nil {
		return LagInfo{}, false
	}
	info := LagInfo{Source: in.node, Way: in.lag.hop, Lag: in.lag.all, Version: int(relaywire.V1)}
	if in.link != nil {
		info.Peer = in.link.session.Peer().Name
		info.Version = int(in.link.agreed.version())
	}
	if in.lag.up != nil {
		info.Hop = in.lag.up.hop
	}
	return info, true
}

// hopName is the label of a hop: of few values, whatever a node says.
func hopName(hop int) string { return strconv.Itoa(min(hop, media.MaxRelayHops)) }
