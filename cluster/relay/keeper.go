package relay

import (
	"context"
	"log/slog"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// KeeperView is what a keeper sees of the cluster: this node's copy of the placements.
type KeeperView interface {
	// WatchPlacements is closed at the next change of any placement.
	WatchPlacements() <-chan struct{}
	Placement(key media.StreamKey) (state.Placement, bool)
	// StandbyOf lists the streams that a node is the standby of, in any order.
	StandbyOf(node string) []state.PlacedStream
}

// Keeper is the standby's end: it makes the node's [Puller] hold each stream whose
// placement names the node as its standby, packets and segments, whether or not it
// has readers here, and lets it go when that is over: another node is the standby or
// the stream is gone, or this node owns it by now and has taken it over. Readers
// of the node share the pull.
type Keeper struct {
	// Set at construction.
	hub  *Hub
	view KeeperView
	self string
	log  *slog.Logger

	// Owned by Run.
	held map[media.StreamKey]*kept
	full bool // a stream had no room, and that was logged
}

// kept is a stream that this node holds as its standby.
type kept struct {
	feed  *Feed
	since time.Time // when this node became the owner; zero: it is not
}

// keepPause is the least time between two looks at all placements.
const keepPause = 100 * time.Millisecond

// adoptPause is how often a stream is looked at that waits for its session.
const adoptPause = time.Second

// NewKeeper returns a keeper for the node with the id self, which has a [Puller]. It
// works while Run does.
func NewKeeper(hub *Hub, view KeeperView, self string, deps Deps) *Keeper {
	return &Keeper{hub: hub, view: view, self: self, log: deps.Log, held: map[media.StreamKey]*kept{}}
}

// Run holds what has to be held until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	defer k.letAllGo()
	pause := time.NewTimer(keepPause)
	defer pause.Stop()
	for {
		changed := k.view.WatchPlacements()
		var again <-chan time.Time
		if k.look(time.Now()) {
			again = time.After(adoptPause)
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return nil
		}
		pause.Reset(keepPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// look compares what is held with the placements; more: it has to look again even if
// they don't change.
func (k *Keeper) look(now time.Time) (more bool) {
	for _, p := range k.view.StandbyOf(k.self) {
		if k.held[p.Key] == nil {
			k.begin(p.Key)
		}
	}
	for key, h := range k.held {
		p, _ := k.view.Placement(key)
		switch {
		case p.Standby == k.self:
			h.since = time.Time{}
		case p.Owner == k.self && k.waits(key, h, now):
			more = true
		default:
			h.feed.unkeep()
			delete(k.held, key)
		}
	}
	return more
}

// waits tells that a stream which this node owns by now waits for its session, which
// takes the pulled life over.
func (k *Keeper) waits(key media.StreamKey, h *kept, now time.Time) bool {
	if h.since.IsZero() {
		h.since = now
	}
	return k.hub.Local(key) == nil && now.Sub(h.since) < media.StandbyAdopt
}

// begin holds a stream, if there is room for it: else its owner finds that nobody
// acknowledges.
func (k *Keeper) begin(key media.StreamKey) {
	f, err := k.hub.keep(key)
	if err != nil && !k.full {
		k.log.Warn("stream is not held as its standby", slog.String("stream", key.String()), slog.Any("err", err))
	}
	if k.full = err != nil; !k.full {
		k.held[key] = &kept{feed: f}
	}
}

func (k *Keeper) letAllGo() {
	for key, h := range k.held {
		h.feed.unkeep()
		delete(k.held, key)
	}
}

// keep opens a feed as [Hub.Open] does, for a stream that this node is the standby
// of. It needs one unkeep.
func (h *Hub) keep(key media.StreamKey) (*Feed, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, err := h.open(key) // in one step with what follows: the first request says it all
	if err != nil {
		return nil, err
	}
	f.keeps++
	f.wantHLS(true)
	h.touch(f)
	return f, nil
}

func (f *Feed) unkeep() {
	f.hub.mu.Lock()
	f.keeps--
	f.wantHLS(false)
	f.hub.touch(f)
	f.hub.mu.Unlock()
	f.Close()
}

// kept counts the streams that this node holds as their standby.
func (h *Hub) kept() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.feeds.All() {
		if f.keeps > 0 {
			n++
		}
	}
	return n
}
