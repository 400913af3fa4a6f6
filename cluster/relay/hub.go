package relay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"tmms/media"
)

// Errors of the hub.
var (
	// ErrPublished refuses a second writer for a stream that has one.
	ErrPublished = errors.New("stream has a writer")
	// ErrTooManyStreams refuses a stream beyond [media.MaxStreamsPerNode].
	ErrTooManyStreams = errors.New("too many streams on this node")
)

// Hub holds the feeds of one node. It is safe for concurrent use.
type Hub struct {
	limit int

	mu sync.Mutex
	// Guarded by mu.
	feeds   media.Table[*Feed] // an entry lives while it has readers, a writer or a pull
	waiting int                // feeds without a writer
	demand  *demand            // nil: nobody pulls
}

// NewHub returns an empty hub for at most [media.MaxStreamsPerNode] streams that
// are published, besides half as many names that readers wait for: those can't
// keep publishers out.
func NewHub() *Hub {
	return &Hub{limit: media.MaxStreamsPerNode}
}

// Feed is one stream as the readers of a node see it, whether or not anybody
// publishes it now.
type Feed struct {
	key  media.StreamKey
	hub  *Hub
	live atomic.Pointer[Live]

	// upstream is the subscription at the stream's owner that the life comes from;
	// nil: it is no pull's, or it comes over a shield. The pull writes it.
	upstream atomic.Pointer[intake]

	// Guarded by hub.mu.
	refs   int     // readers
	hls    int     // readers that want HLS
	writer *Writer // nil: nobody publishes
	left   bool    // the writer waits for a pull
	pulled bool    // a pull holds the feed
	keeps  int     // readers that hold the stream as its standby

	downstreams map[*downstream]struct{} // those of the readers that are other nodes
}

// Open returns the feed of key and adds a reference to it; it never blocks.
// Each Open needs one [Feed.Close].
func (h *Hub) Open(key media.StreamKey) (*Feed, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.open(key)
}

// open is Open; h.mu is held.
func (h *Hub) open(key media.StreamKey) (*Feed, error) {
	f := h.feeds.Get(key)
	if f == nil {
		if limit := h.limit / 2; h.waiting >= limit {
			return nil, fmt.Errorf("relay: %s: %w that nobody publishes, the limit is %d", key, ErrTooManyStreams, limit)
		}
		f = h.add(key)
	}
	f.refs++
	if f.refs == 1 {
		h.touch(f)
	}
	return f, nil
}

// add makes the feed of key, without readers and writer. h.mu is held.
func (h *Hub) add(key media.StreamKey) *Feed {
	f := &Feed{key: key, hub: h}
	h.feeds.Set(key, f)
	h.waiting++
	return f
}

// Key is the stream's key.
func (f *Feed) Key() media.StreamKey { return f.key }

// Live is the present life of the stream, nil before the first and after the
// end of the last one. A life that has ended is not given to new readers; those
// that hold it drain it to its head.
func (f *Feed) Live() *Live { return f.live.Load() }

// Close gives the reference back. The feed must not be used after it.
func (f *Feed) Close() {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	f.refs--
	if f.refs == 0 {
		f.hub.touch(f)
	}
	f.drop()
}

// WantHLS notes that a reader wants segments, or no more: a feed that comes from
// another node has no segment index before somebody does. Each true needs one
// false before the feed is closed.
func (f *Feed) WantHLS(on bool) {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	f.wantHLS(on)
}

// wantHLS is WantHLS while hub.mu is held.
func (f *Feed) wantHLS(on bool) {
	was := f.hls > 0
	if on {
		f.hls++
	} else {
		f.hls--
	}
	if was != (f.hls > 0) {
		f.hub.touch(f)
	}
}

// Placed tells whether the stream is published here or, as far as this node
// knows, at another one, even if nothing of it has come yet.
func (f *Feed) Placed() bool {
	if f.Live() != nil {
		return true
	}
	f.hub.mu.Lock()
	d := f.hub.demand
	f.hub.mu.Unlock()
	return d != nil && d.placed(f.key)
}

// drop forgets a feed that nobody needs. hub.mu is held.
func (f *Feed) drop() {
	if f.refs == 0 && f.writer == nil && !f.pulled {
		f.hub.feeds.Delete(f.key)
		f.hub.waiting--
	}
}

// Publish begins a life of the stream and makes it visible to the feed's
// readers. A life that is pulled from another node is taken over and goes on,
// its writer gets [ErrTakenOver]; [ErrPublished] when there is another writer.
func (h *Hub) Publish(key media.StreamKey, epoch uint64, opt LiveOptions) (*Writer, error) {
	return h.publish(key, epoch, opt, false)
}

func (h *Hub) publish(key media.StreamKey, epoch uint64, opt LiveOptions, pulled bool) (*Writer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds.Get(key)
	switch {
	case f != nil && f.writer != nil && f.writer.pulled && !pulled:
		f.writer, f.left = f.writer.handOver(epoch, opt), false
		h.touch(f)
		return f.writer, nil
	case f != nil && f.left && pulled:
		f.left = false
		return f.writer, nil
	case f != nil && f.writer != nil:
		return nil, fmt.Errorf("relay: %s: %w", key, ErrPublished)
	case h.feeds.Len()-h.waiting >= h.limit:
		return nil, fmt.Errorf("relay: %s: %w, the limit is %d", key, ErrTooManyStreams, h.limit)
	case f == nil:
		f = h.add(key)
	}
	h.waiting--
	w := newWriter(f, epoch, opt)
	w.pulled = pulled
	f.writer = w
	f.live.Store(w.live)
	h.touch(f)
	return w, nil
}

// end takes the writer's life off the feed.
func (f *Feed) end(w *Writer) {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	if f.writer != w {
		return
	}
	f.live.Store(nil)
	f.writer, f.left = nil, false
	f.hub.waiting++
	f.hub.touch(f)
	f.drop()
}

// leave takes the writer off its life, which waits for a pull if there are
// readers and pulls on this node.
func (f *Feed) leave(w *Writer) {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	if f.writer != w {
		return
	}
	w.SetState(StateGrace)
	next := w.handOver(w.live.Epoch(), w.opt)
	if f.refs > 0 && f.hub.demand != nil {
		next.pulled = true
		f.writer, f.left = next, true
	} else {
		f.live.Store(nil)
		f.writer = nil
		f.hub.waiting++
	}
	f.hub.touch(f)
	f.drop()
}

// Local is the present life of a stream that is published on this node, nil if
// there is none; one that is pulled from elsewhere does not count.
func (h *Hub) Local(key media.StreamKey) *Live {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds.Get(key)
	if f == nil || f.writer == nil || f.writer.pulled {
		return nil
	}
	return f.writer.live
}

// Len is the number of feeds held.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.feeds.Len()
}

// Lives lists the streams that are published on this node, by key.
func (h *Hub) Lives() []*Live {
	h.mu.Lock()
	lives := make([]*Live, 0, h.feeds.Len())
	for _, f := range h.feeds.All() {
		if l := f.live.Load(); l != nil {
			lives = append(lives, l)
		}
	}
	h.mu.Unlock()
	slices.SortFunc(lives, func(a, b *Live) int { return strings.Compare(a.key.String(), b.key.String()) })
	return lives
}
