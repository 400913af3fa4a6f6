package fanout

import (
	"slices"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/flv"
)

// stream is a loop's share of a stream: it holds the feed while it has channels.
type stream struct {
	engine   *Engine
	key      media.StreamKey
	feed     *relay.Feed
	latency  time.Duration // of the newest viewer's app config
	channels []*channel
}

// open returns the loop's share of a stream. One that gets no channel must be
// given to closeIfUnused.
func (e *Engine) open(key media.StreamKey) (*stream, error) {
	if s := e.streams.Get(key); s != nil {
		return s, nil
	}
	feed, err := e.hub.Open(key)
	if err != nil {
		return nil, err
	}
	s := &stream{engine: e, key: key, feed: feed}
	e.streams.Set(key, s)
	return s, nil
}

func (s *stream) closeIfUnused() {
	if len(s.channels) == 0 {
		s.feed.Close()
		s.engine.streams.Delete(s.key)
	}
}

// join is where a new viewer starts; ok = false while there is no keyframe.
func (s *stream) join() (live *relay.Live, j relay.Join, ok bool) {
	live = s.feed.Live()
	if live == nil {
		return nil, relay.Join{}, false
	}
	j, ok = live.Join(s.latency)
	return live, j, ok
}

// channel finds or makes the channel of a life (nil: of those that wait for
// one), a format and a class. One that gets no viewer must be given to
// closeIfUnused.
func (s *stream) channel(live *relay.Live, f Format, c *class) *channel {
	for _, ch := range s.channels {
		if ch.live == live && ch.format == f && ch.class == c {
			return ch
		}
	}
	ch := &channel{
		engine: s.engine, stream: s, class: c, live: live, format: f, buckets: make([]*bucket, len(c.slots)),
	}
	s.channels = append(s.channels, ch)
	return ch
}

// channel is the viewers of a loop that get the same bytes at the same pace, or
// wait for them.
type channel struct {
	engine  *Engine
	stream  *stream
	class   *class
	live    *relay.Live // nil: the viewers wait
	view    *view       // nil: not opened; opened by the first viewer's place
	format  Format
	buckets []*bucket // by slot; nil where there is no viewer
	viewers int
	resets  int64       // of view, as last seen
	head    int64       // of the view's log, and
	final   bool        // whether nothing will follow it, as of the last pass
	needs   flv.FourCCs // as of the last screen
}

// place opens the view if need be and finds a place for a viewer in it.
func (ch *channel) place(j relay.Join) (int64, relay.Join, bool) {
	if ch.view == nil {
		ch.view = openView(ch.live, ch.format, j)
		ch.resets = ch.view.resets.Load()
	}
	ch.view.advance()
	return ch.view.place(j)
}

// add puts a viewer into a slot.
func (ch *channel) add(v *Viewer, slot int) {
	b := ch.buckets[slot]
	if b == nil {
		b = &bucket{channel: ch, slot: slot}
		ch.buckets[slot] = b
		ch.class.slots[slot] = append(ch.class.slots[slot], b)
	}
	v.bucket, v.index = b, uint32(len(b.viewers))
	b.viewers = append(b.viewers, v)
	ch.count(1)
}

func (ch *channel) count(n int) {
	e := ch.stream.engine
	ch.viewers += n
	e.viewers += n
	if ch.live == nil {
		e.waiting += n
	}
	e.stats.viewers[ch.format].Add(int64(n))
}

// closeIfUnused gives back what a channel without viewers holds.
func (ch *channel) closeIfUnused() {
	if ch.viewers > 0 {
		return
	}
	if ch.view != nil {
		ch.live.Drop(viewKey{ch.format})
		ch.view = nil
	}
	s := ch.stream
	if i := slices.Index(s.channels, ch); i >= 0 {
		s.channels = slices.Delete(s.channels, i, i+1)
	}
	s.closeIfUnused()
}

// bucket is the viewers of a channel in one slot.
type bucket struct {
	channel *channel
	viewers []*Viewer
	slot    int
	dts     media.Timestamp // the newest in the log when the slot was last flushed
}

// remove takes a viewer out, and the bucket with its last one.
func (b *bucket) remove(v *Viewer) {
	last := len(b.viewers) - 1
	b.viewers[v.index] = b.viewers[last]
	b.viewers[v.index].index = v.index
	b.viewers[last] = nil
	b.viewers = b.viewers[:last]
	ch := b.channel
	ch.count(-1)
	if last == 0 {
		ch.buckets[b.slot] = nil
		slot := ch.class.slots[b.slot]
		i := slices.Index(slot, b)
		slot[i] = slot[len(slot)-1]
		slot[len(slot)-1] = nil
		if slot = slot[:len(slot)-1]; len(slot) == 0 {
			slot = nil // it may have been of many
		}
		ch.class.slots[b.slot] = slot
	}
	ch.closeIfUnused()
}

// flush gives the first n viewers their turn, backwards, or looks for a place
// for those that wait. left is how many of them are still to have it, since the
// tick's time for slots is up.
func (b *bucket) flush(e *Engine, n int) (left int) {
	left = min(n, len(b.viewers))
	if left == 0 || e.late() {
		return left
	}
	if b.channel.live == nil {
		return b.wake(e, left)
	}
	e.pass.begin(b.channel)
	empty := b.channel.view.empty() // the last track that could be carried has become another
	for {
		left--
		if v := b.viewers[left]; empty {
			v.leave(ErrNotCarried)
		} else {
			v.turn(&e.pass, true)
		}
		left = min(left, len(b.viewers)) // a viewer may leave: the last takes its place
		if left == 0 || e.late() {
			break
		}
	}
	b.dts = b.channel.live.LastDTS()
	e.pass.end()
	return left
}

// wake lets the first n viewers, which wait, join if there is something to join
// now, backwards; left is as of flush.
func (b *bucket) wake(e *Engine, n int) (left int) {
	live, j, ok := b.channel.stream.join()
	if !ok {
		return 0
	}
	for end := max(0, n-joinBatch); n > end; { // the rest joins when the slot comes again
		n--
		b.viewers[n].join(live, j)
		n = min(n, len(b.viewers)) // in place of one that has joined comes the last
		if e.turns -= joinTurns; e.late() {
			return n
		}
	}
	return 0
}

// each calls f until it returns false, and then returns false.
func (s *stream) each(f func(*Viewer) bool) bool {
	for _, ch := range s.channels {
		for _, b := range ch.buckets {
			if b == nil {
				continue
			}
			if slices.ContainsFunc(b.viewers, func(v *Viewer) bool { return !f(v) }) {
				return false
			}
		}
	}
	return true
}
