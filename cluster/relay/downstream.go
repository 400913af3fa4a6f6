package relay

import (
	"fmt"
	"math"
	"time"

	"tmms/media"
	"tmms/media/relaywire"
)

// downstream is another node that has asked this one for a stream as its shield: a
// reader that makes this node pull the stream from the owner itself.
type downstream struct {
	// Set at construction.
	feed *Feed
	seen relaywire.Position // where that node had got to
	hops []string           // the nodes that its request has passed, its own last

	// Guarded by hub.mu.
	hls    bool
	closed bool
}

// openDownstream adds a node to the readers of a stream; ok = false: this node does
// not pull. It needs one [downstream.close].
func (h *Hub) openDownstream(r *relaywire.Subscribe) (d *downstream, ok bool, err error) {
	h.mu.Lock()
	pulls := h.demand != nil && h.demand.shield
	h.mu.Unlock()
	if !pulls {
		return nil, false, nil
	}
	f, err := h.Open(r.Key)
	if err != nil {
		return nil, true, fmt.Errorf("relay: as a shield: %w", err)
	}
	d = &downstream{feed: f, seen: r.Seen, hops: r.Hops}
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.downstreams == nil {
		f.downstreams = map[*downstream]struct{}{}
	}
	f.downstreams[d] = struct{}{}
	h.touch(f)
	return d, true, nil
}

// wantHLS notes whether that node has HLS viewers; it may be called after close.
func (d *downstream) wantHLS(on bool) {
	d.feed.hub.mu.Lock()
	defer d.feed.hub.mu.Unlock()
	if !d.closed && d.hls != on {
		d.hls = on
		d.feed.wantHLS(on)
	}
}

func (d *downstream) close() {
	h := d.feed.hub
	h.mu.Lock()
	if d.closed = true; d.hls {
		d.feed.wantHLS(false)
	}
	delete(d.feed.downstreams, d)
	h.touch(d.feed)
	h.mu.Unlock()
	d.feed.Close()
}

// live is the life to send: one that comes from the stream's owner itself, so that
// no stream passes two shields. nil: there is none yet.
func (d *downstream) live() *Live {
	if d.feed.upstream.Load() == nil {
		return nil
	}
	return d.feed.Live()
}

// fresh tells that the owner was heard of a short while ago: only then this node
// says that it lives, since to the node that asked the whole way counts.
func (d *downstream) fresh(now time.Time, within time.Duration) bool {
	if in := d.feed.upstream.Load(); in != nil {
		return now.UnixNano()-in.heard.Load() < int64(within)
	}
	return d.feed.hub.Local(d.feed.key) != nil
}

// given counts the nodes that have the stream from this one as their shield.
func (f *Feed) given() int {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	return len(f.downstreams)
}

// ask fills in what a subscription at the owner says on behalf of the nodes that
// have asked this one: how far they have got, where that is further than this node,
// and which way they came.
func (f *Feed) ask(r *relaywire.Subscribe) {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	var first media.PacketID
	for d := range f.downstreams {
		if d.seen.ID.Epoch >= r.Seen.ID.Epoch { // else it was by the clock of another owner
			r.Seen.DTS = max(r.Seen.DTS, d.seen.DTS)
		}
		if d.seen.SegmentEpoch < r.Epoch && r.Seen.SegmentEpoch < r.Epoch {
			r.Seen = withSegments(r.Seen, d.seen)
		}
		if first == (media.PacketID{}) || d.seen.ID != (media.PacketID{}) && d.seen.ID.Compare(first) < 0 {
			first = d.seen.ID
		}
		if len(r.Hops) == 0 && len(d.hops) < media.MaxRelayHops {
			r.Hops = append(r.Hops, d.hops...)
		}
	}
	if !r.Resume && first != (media.PacketID{}) {
		r.Resume, r.Seen.ID = true, beforeGroup(first, r.Epoch)
	}
}

// withSegments gives p with the segments of q, if those go further.
func withSegments(p, q relaywire.Position) relaywire.Position {
	next := func(p relaywire.Position) uint64 {
		if p.Open {
			return p.MSN + 1
		}
		return p.MSN
	}
	if q.SegmentEpoch != 0 && (p.SegmentEpoch == 0 || next(q) > next(p)) {
		p.SegmentEpoch, p.MSN, p.Open = q.SegmentEpoch, q.MSN, q.Open
	}
	p.Discontinuities = max(p.Discontinuities, q.Discontinuities)
	return p
}

// lastIndex is an index that no packet has: a position with it is behind a whole
// group, and its subscriber has no packet, nor the configs.
const lastIndex = math.MaxUint32

// beforeGroup is the position in front of the group that id lies in, if that is of
// the epoch: where a node without packets has to begin, to go on without a gap for
// those that have id.
func beforeGroup(id media.PacketID, epoch uint64) media.PacketID {
	switch {
	case id.Epoch != epoch:
		return id
	case id.Group == 0:
		return media.PacketID{Epoch: epoch - 1, Group: math.MaxUint64, Index: lastIndex}
	}
	return media.PacketID{Epoch: epoch, Group: id.Group - 1, Index: lastIndex}
}
