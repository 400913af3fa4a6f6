package relay

import "tmms/media"

// demand tells the puller of a node which feeds to look at.
type demand struct {
	// Set at construction.
	signal chan struct{}                  // holds one: changed is not empty
	placed func(key media.StreamKey) bool // whether a node has the stream
	shield bool                           // other nodes may ask for what they want

	// Guarded by hub.mu.
	changed media.Table[struct{}]
	all     bool // too much has changed: every feed, and what is in changed
}

// maxChanged bounds what is noted of changes that nobody fetches.
const maxChanged = media.MaxStreamsPerNode

// want is what the readers of a feed ask of a pull.
type want struct {
	readers bool // somebody reads, and nobody publishes on this node
	hls     bool // segments too
	local   bool // published on this node
	shield  bool // other nodes read, so that the stream must come from its owner
	standby bool // this node is to hold it as its standby
}

// direct tells that the stream must come from its owner itself.
func (w want) direct() bool { return w.shield || w.standby }

// startDemand makes the hub note whose readers change; shield: other nodes may be
// among them. It is called once.
func (h *Hub) startDemand(placed func(media.StreamKey) bool, shield bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.demand = &demand{signal: make(chan struct{}, 1), placed: placed, shield: shield}
	for _, f := range h.feeds.All() {
		h.touch(f)
	}
}

// Demand is signalled when feeds got their first reader or lost the last one,
// or when what they want has changed. The changes are coalesced; nil while
// nobody pulls on this node.
func (h *Hub) Demand() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.demand == nil {
		return nil
	}
	return h.demand.signal
}

// touch notes that a feed's demand has changed. h.mu is held.
func (h *Hub) touch(f *Feed) {
	if h.demand == nil {
		return
	}
	if h.demand.changed.Len() >= maxChanged {
		h.demand.all = true
		h.demand.changed.Clear()
	}
	h.demand.changed.Set(f.key, struct{}{})
	select {
	case h.demand.signal <- struct{}{}:
	default:
	}
}

// takeChanged gives the streams whose demand has changed since the last call;
// all: every stream may have, and the list has those with readers.
func (h *Hub) takeChanged() (list []media.StreamKey, all bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d := h.demand
	all, d.all = d.all, false
	if all {
		for key := range h.feeds.All() {
			list = append(list, key)
		}
	} else {
		for key := range d.changed.All() {
			list = append(list, key)
		}
	}
	d.changed.Clear()
	return list, all
}

// wanted tells whether a stream has readers and no publisher on this node, or a
// life that waits for a pull.
func (h *Hub) wanted(key media.StreamKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds.Get(key)
	return f != nil && (f.left || f.refs > 0 && (f.writer == nil || f.writer.pulled))
}

// left tells whether a life of the stream waits for a pull.
func (h *Hub) left(key media.StreamKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds.Get(key)
	return f != nil && f.left
}

// hold keeps the feed of a stream that is wanted for a pull, until
// [Feed.letGo]; nil if it is not wanted. The writer of a life that waits comes
// with it, even if its readers have gone.
func (h *Hub) hold(key media.StreamKey) (*Feed, *Writer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds.Get(key)
	switch {
	case f == nil, f.writer != nil && !f.writer.pulled, f.refs == 0 && !f.left:
		return nil, nil
	case f.left:
		f.pulled, f.left = true, false
		return f, f.writer
	}
	f.pulled = true
	return f, nil
}

// want says what the feed's readers ask for now.
func (f *Feed) want() want {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	local := f.writer != nil && !f.writer.pulled
	return want{
		readers: f.refs > 0 && !local, hls: f.hls > 0, local: local, shield: len(f.downstreams) > 0, standby: f.keeps > 0,
	}
}

// letGo ends what hold began.
func (f *Feed) letGo() {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	f.pulled = false
	f.drop()
}
