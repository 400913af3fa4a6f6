package relay

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tmms/cluster/fabric"
	"tmms/media"
	"tmms/media/relaywire"
)

// PullConfig has the times and bounds of pulls; zero values mean the defaults.
type PullConfig struct {
	// Linger is how long a pull goes on after its last reader; default 5 s.
	Linger time.Duration
	// Stall is how long an owner may send nothing, and how long packets may wait
	// for earlier ones, before the pull subscribes anew; default 1.75 s, so that
	// the watchdog has noticed within 2 s.
	Stall time.Duration
	// Gone is how long a placement must be gone for the stream to have ended;
	// default 1 s.
	Gone time.Duration
	// Settle bounds the wait for the last packets and segments of a stream that
	// has ended, and for the local publisher of one that comes to this node;
	// default 5 s.
	Settle time.Duration
	// Hedge is how long a shield may be silent before another node is asked too;
	// default 400 ms.
	Hedge time.Duration
	// Steady is how long a node must have been the better source, and a new edge a
	// member, before pulls move to it; default 5 s.
	Steady time.Duration
	// RetryMin and RetryMax bound the pause before another try, which doubles
	// and is drawn at random below that; default 50 ms and 2 s.
	RetryMin, RetryMax time.Duration
	// SegmentBytes bounds the HLS segments of all pulls together; default and
	// maximum media.MaxHLSNodeBytes.
	SegmentBytes int64
	// OwnOnly makes the puller get nothing for other nodes, as a shield: this one is
	// no edge, and only the standby of some streams.
	OwnOnly bool

	version relaywire.Version // the highest to speak; 0: relaywire.Newest
	now     func() time.Time  // the clock that others' stamps are held against; nil: time.Now
}

func (c PullConfig) withDefaults() PullConfig {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&c.Linger, 5 * time.Second},
		{&c.Stall, 1750 * time.Millisecond},
		{&c.Gone, time.Second},
		{&c.Settle, 5 * time.Second},
		{&c.Hedge, hedgeAfter},
		{&c.Steady, 5 * time.Second},
		{&c.RetryMin, 50 * time.Millisecond},
		{&c.RetryMax, 2 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	if c.SegmentBytes <= 0 || c.SegmentBytes > media.MaxHLSNodeBytes {
		c.SegmentBytes = media.MaxHLSNodeBytes
	}
	return c
}

// Puller gets the streams that this node's readers want from the nodes that own
// them: one pull for each stream, whatever asked for it.
type Puller struct {
	// Set at construction.
	hub     *Hub
	fabric  *fabric.Fabric
	cluster Cluster
	members Members // nil: there are no shields
	cfg     PullConfig
	version relaywire.Version // the highest that it speaks
	now     func() time.Time
	log     *slog.Logger
	metrics *pullMetrics
	budget  *retryBudget
	moves   *retryBudget // of pulls that go to a better source
	faults  faults
	buffers sync.Pool // *[]byte, for what is being read
	done    chan *pull

	segments *segmentBudget

	wg sync.WaitGroup

	region atomic.Pointer[region] // nil: nothing is known

	// Owned by Run.
	wanted media.Table[struct{}] // readers wait, and no other node owns the stream
	survey survey

	mu sync.Mutex
	// Guarded by mu.
	pulls media.Table[*pull]
	links map[*fabric.Session]*link
}

// readBuffer is the first buffer of a stream that is being read; larger ones
// are not kept.
const readBuffer = 32 << 10

// NewPuller returns a puller for the hub, of which there is one. It works while
// Run does.
func NewPuller(hub *Hub, f *fabric.Fabric, c Cluster, cfg PullConfig, deps Deps) (*Puller, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	p := &Puller{
		hub: hub, fabric: f, cluster: c, members: deps.Members, cfg: cfg.withDefaults(), log: deps.Log,
		budget: newRetryBudget(retriesPerSecond, retryBurst), moves: newRetryBudget(movesPerSecond, moveBurst),
		version: cmp.Or(cfg.version, relaywire.Newest), now: cfg.now, done: make(chan *pull),
		links: map[*fabric.Session]*link{},
	}
	if p.now == nil {
		p.now = time.Now
	}
	p.segments = &segmentBudget{limit: p.cfg.SegmentBytes}
	p.survey = survey{steady: p.cfg.Steady, began: time.Now(), known: map[string]*neighbour{}}
	p.buffers.New = func() any {
		b := make([]byte, 0, readBuffer)
		return &b
	}
	m, err := newPullMetrics(p, deps.Registerer)
	if err != nil {
		return nil, err
	}
	p.metrics = m
	hub.startDemand(p.placed, !cfg.OwnOnly)
	return p, nil
}

// placed tells whether another node has the stream, as far as this one knows.
func (p *Puller) placed(key media.StreamKey) bool {
	_, ok := p.cluster.Placement(key)
	return ok
}

// Run pulls until ctx ends. It ends the lives of all streams that it pulled.
func (p *Puller) Run(ctx context.Context) error {
	defer p.wg.Wait()
	demand := p.hub.Demand()
	var pause <-chan time.Time // not nil: don't look at the placements yet
	placements := p.cluster.WatchPlacements()
	members, survey, stop := p.watchMembers()
	defer stop()
	for {
		watch := placements
		if pause != nil {
			watch = nil
		}
		select {
		case <-ctx.Done():
			p.drain()
			return nil
		case <-demand:
			p.onDemand(ctx)
		case <-watch:
			placements = p.cluster.WatchPlacements()
			p.onPlacements(ctx)
			pause = time.After(placementPause)
		case <-pause:
			pause = nil
		case <-members:
			members = p.members.Changed()
			p.lookAround(false)
		case <-survey:
			p.lookAround(true)
		case ended := <-p.done:
			p.remove(ended)
			p.look(ctx, ended.feed.key)
		}
	}
}

// watchMembers begins to look around: at changes of the members, and at intervals.
func (p *Puller) watchMembers() (members <-chan struct{}, survey <-chan time.Time, stop func()) {
	if p.members == nil {
		return nil, nil, func() {}
	}
	members = p.members.Changed()
	p.lookAround(false)
	tick := time.NewTicker(surveyInterval)
	return members, tick.C, tick.Stop
}

// drain takes the ends of all pulls, which their context has told to end.
func (p *Puller) drain() {
	for {
		p.mu.Lock()
		n := p.pulls.Len()
		p.mu.Unlock()
		if n == 0 {
			break
		}
		p.remove(<-p.done)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.links {
		l.cancel()
	}
}

// onDemand looks at the streams whose readers have come or gone.
func (p *Puller) onDemand(ctx context.Context) {
	changed, all := p.hub.takeChanged()
	if all {
		p.wanted.Clear()
	}
	for _, key := range changed {
		p.mu.Lock()
		running := p.pulls.Get(key)
		p.mu.Unlock()
		if running != nil {
			running.poke()
			continue
		}
		p.look(ctx, key)
	}
}

// look starts a pull for a stream that is wanted, or remembers it until another
// node owns it.
func (p *Puller) look(ctx context.Context, key media.StreamKey) {
	if !p.hub.wanted(key) {
		p.wanted.Delete(key)
		return
	}
	p.wanted.Set(key, struct{}{})
	p.try(ctx, key)
}

// try starts a pull if another node owns the stream, and for a life that waits
// for a pull anyway, which sees to its end too.
func (p *Puller) try(ctx context.Context, key media.StreamKey) {
	placement, ok := p.cluster.Placement(key)
	elsewhere := ok && !placement.Orphan() && placement.Owner != p.cluster.ID()
	if !elsewhere && !p.hub.left(key) {
		return
	}
	p.wanted.Delete(key)
	feed, left := p.hub.hold(key)
	if feed == nil {
		return
	}
	pl := newPull(p, feed, placement)
	pl.adopt(left)
	p.mu.Lock()
	p.pulls.Set(key, pl)
	p.mu.Unlock()
	p.wg.Go(func() {
		pl.run(ctx)
		p.done <- pl
	})
}

// onPlacements looks at all streams whose readers wait, and tells the pulls
// whose placement has changed.
func (p *Puller) onPlacements(ctx context.Context) {
	for key := range p.wanted.All() {
		p.try(ctx, key)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, pl := range p.pulls.All() {
		placement, _ := p.cluster.Placement(key)
		if placement != pl.placement {
			pl.placement = placement
			pl.poke()
		}
	}
}

// remove takes out a pull that has ended.
func (p *Puller) remove(pl *pull) {
	p.mu.Lock()
	p.pulls.Delete(pl.feed.key)
	p.mu.Unlock()
	pl.feed.letGo()
}

// trim makes all pulls drop the segments behind their playlists, where the node
// has no room for them.
func (p *Puller) trim() {
	p.mu.Lock()
	pulls := make([]*pull, 0, p.pulls.Len())
	for _, pl := range p.pulls.All() {
		pulls = append(pulls, pl)
	}
	p.mu.Unlock()
	for _, pl := range pulls {
		pl.trim()
	}
}

// target is a node as the fabric dials it.
func (p *Puller) target(id string) (fabric.Target, bool) {
	n, ok := p.cluster.Node(id)
	if !ok || n.Addresses[fabricAddress] == "" {
		return fabric.Target{}, false
	}
	return fabric.Target{Name: n.Name, Addr: n.Addresses[fabricAddress]}, true
}

// link is the puller's part in a session: there is one for each.
func (p *Puller) link(s *fabric.Session) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.links[s]
	if l != nil {
		return l
	}
	ctx, cancel := context.WithCancel(s.Context())
	l = &link{
		puller: p, session: s, cancel: cancel, version: p.version, now: p.now,
		said: make(chan struct{}), answered: make(chan struct{}), intakes: map[uint64]*intake{},
		unknown: make(chan struct{}, media.MaxRelayUnknown), large: make(chan struct{}, media.MaxRelayLargeHeaders),
		acks: newAcks(),
	}
	p.links[s] = l
	p.wg.Go(func() {
		l.run(ctx)
		p.mu.Lock()
		delete(p.links, s)
		p.mu.Unlock()
	})
	return l
}

// borrow gives an inbox for a stream.
func (p *Puller) borrow(stream *fabric.ReceiveStream) *inbox {
	b := p.buffers.Get().(*[]byte)
	return &inbox{r: stream, buf: (*b)[:0]}
}

// giveBack takes the inbox's buffer back; nothing may alias it any more.
func (p *Puller) giveBack(in *inbox) {
	if cap(in.buf) > 8*readBuffer {
		return
	}
	b := in.buf[:0]
	in.buf = nil
	p.buffers.Put(&b)
}

// code is the form of a code that streams take.
func code(c relaywire.Code) fabric.StreamErrorCode { return fabric.StreamErrorCode(c) }
