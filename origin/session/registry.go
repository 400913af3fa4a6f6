package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"tmms/cluster/state"
	"tmms/media"
)

// What ends or refuses a publisher.
var (
	// ErrClosed refuses publishers of a registry that was closed.
	ErrClosed = errors.New("the node is shutting down")
	// ErrStarting refuses publishers that another node forwards before the cluster
	// knows that no stream is this node's of an earlier process.
	ErrStarting = errors.New("the node is starting")
	// ErrTooManyStreams refuses a stream beyond Config.MaxStreams.
	ErrTooManyStreams = errors.New("too many published streams on this node")
	// ErrBusy refuses a publisher of a stream that has one, by the app's busy policy.
	ErrBusy = errors.New("the stream has a publisher")
	// ErrSuperseded ends a stream that another node, or nobody, owns by now.
	ErrSuperseded = errors.New("the node does not own the stream any more, publish again")
	// ErrReplaced ends a publisher whose stream another connection has taken over.
	ErrReplaced = errors.New("replaced by another publisher")
)

// closeWorkers is how many streams Close ends at a time: each costs the cluster
// a round trip.
const closeWorkers = 64

// Registry holds the streams published on this node. It is safe for concurrent use.
type Registry struct {
	// Set at construction.
	cfg      Config
	deps     Deps
	counters Counters

	background *background
	proposals  chan struct{} // bounds those on standbys that are under way

	mu      sync.Mutex
	streams media.Table[*stream] // guarded by mu; from the claim until the placement is released
	closed  bool                 // guarded by mu
	left    bool                 // guarded by mu; see Leave
	given   given                // guarded by mu
}

// New returns an empty registry.
func New(cfg Config, deps Deps) (*Registry, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Registry{
		cfg: cfg, deps: deps, background: newBackground(), proposals: make(chan struct{}, closeWorkers),
	}, nil
}

// Attach makes pub the publisher of key. A new stream is claimed first, one in
// the grace is continued, one with a publisher follows the app's busy policy.
// ctx bounds the wait for a claim or an end of the stream that is under way.
// The errors wrap [ErrBusy], [ErrClosed], [ErrStarting], [ErrTooManyStreams], or are those of
// the claim and of the hub.
func (r *Registry) Attach(
	ctx context.Context, key media.StreamKey, app *state.App, pub PublisherInfo,
) (*Publisher, error) {
	for {
		s, created, err := r.enter(key)
		if err != nil {
			return nil, err
		}
		if created {
			return s.claim(ctx, app, pub)
		}
		p, wait, err := s.join(app, pub)
		if wait == nil {
			return p, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("session: %s: %w", key, ctx.Err())
		}
	}
}

// enter finds the stream of key, or makes one that its caller has to claim.
func (r *Registry) enter(key media.StreamKey) (s *stream, created bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s = r.streams.Get(key); s != nil {
		return s, false, nil
	}
	switch {
	case r.closed:
		return nil, false, fmt.Errorf("session: %s: %w", key, ErrClosed)
	case !r.hasStarted(): // what it claimed now it would disown
		return nil, false, fmt.Errorf("session: %s: %w", key, ErrStarting)
	case r.streams.Len() >= r.cfg.MaxStreams:
		return nil, false, fmt.Errorf("session: %s: %w, the limit is %d", key, ErrTooManyStreams, r.cfg.MaxStreams)
	}
	s = newStream(r, key)
	r.streams.Set(key, s)
	return s, true, nil
}

// leave forgets s.
func (r *Registry) leave(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams.Get(s.key) == s {
		r.streams.Delete(s.key)
	}
	r.given.leave(r, s.key, s.epoch)
}

// all lists the streams held.
func (r *Registry) all() []*stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]*stream, 0, r.streams.Len())
	for _, s := range r.streams.All() {
		list = append(list, s)
	}
	return list
}

// Len is the number of streams held, from their claim until their release.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.streams.Len()
}

// Exposed is the number of streams whose readers do not wait for the standby that the
// cluster counts on.
func (r *Registry) Exposed() (n int64) {
	for _, s := range r.all() {
		if s.standby.exposed() {
			n++
		}
	}
	return n
}

// Counters are those of all streams since New.
func (r *Registry) Counters() *Counters { return &r.counters }

// Streams lists what is published here, by key.
func (r *Registry) Streams() []Info {
	now := r.deps.Now()
	list := make([]Info, 0, r.Len())
	for _, s := range r.all() {
		list = append(list, s.info(now))
	}
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Key.String(), b.Key.String()) })
	return list
}

// Stream describes one stream; ok = false if it is not published here.
func (r *Registry) Stream(key media.StreamKey) (info Info, ok bool) {
	r.mu.Lock()
	s := r.streams.Get(key)
	r.mu.Unlock()
	if s == nil {
		return Info{}, false
	}
	return s.info(r.deps.Now()), true
}

// Leave refuses new streams and takes this node's name off those there are, so
// that another node can go on with them at once: those that have a standby in sync
// go there, the others to whoever claims them. It is for the time before their
// publishers are closed. Close then ends them here only. It does nothing
// without Deps.Placements, and leaves it to Close when the cluster can't be told.
func (r *Registry) Leave(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	if r.deps.Placements == nil || r.Len() == 0 {
		return
	}
	r.HandOver(ctx)
	left := r.disown(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left = left
}

// Close refuses new streams and ends all there are, without a grace: their
// publishers are closed and their placements released. It returns when the
// registry is empty; ctx bounds the releases, not the wait for those under way,
// which have bounds of their own.
func (r *Registry) Close(ctx context.Context) {
	r.mu.Lock()
	r.closed = true
	left := r.left
	r.mu.Unlock()

	var wg sync.WaitGroup
	slots := make(chan struct{}, closeWorkers)
	for _, s := range r.all() {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			s.shutdown(ctx, left)
		})
	}
	wg.Wait()
	if left { // claims that were under way have come into force meanwhile
		r.disown(ctx)
	}
}

// isClosed tells that Leave or Close was called.
func (r *Registry) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// disown takes this node's name off all its streams.
func (r *Registry) disown(ctx context.Context) (ok bool) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.ReleaseTimeout)
	defer cancel()
	if err := r.deps.Claims.Disown(ctx); err != nil {
		r.deps.Log.Warn("streams were not given up", slog.Any("err", err))
		return false
	}
	return true
}
