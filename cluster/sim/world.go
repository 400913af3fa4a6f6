package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// world is a run.
type world struct {
	rng    *rand.Rand
	rules  Rules
	now    time.Duration
	order  uint64
	events queue
	ran    int // events

	nodes   []*node
	voters  []*node
	origins []*node
	byID    map[string]*node
	streams []*stream
	net     *network
	check   *checker

	troubled  time.Duration // when something last was wrong with all nodes
	failure   string
	lines     []string // of the trace
	dropped   int      // lines that were too many
	commands  int
	takeovers int
	lax       int
	relieved  int // streams that were moved for the sake of loads
}

// maxLines bounds a trace.
const maxLines = 4000

// at runs f at a time.
func (w *world) at(t time.Duration, f func()) {
	w.order++
	w.events.push(event{at: max(t, w.now), order: w.order, run: f})
}

// within gives a time between 0 and d.
func (w *world) within(d time.Duration) time.Duration {
	return time.Duration(w.rng.Int64N(int64(d) + 1))
}

// runTo runs what happens until t, or until something is found.
func (w *world) runTo(t time.Duration) {
	for len(w.events) > 0 && w.events[0].at <= t && w.failure == "" {
		e := w.events.pop()
		w.now = e.at
		w.ran++
		e.run()
	}
	if w.failure == "" {
		w.now = t
	}
}

// fail notes the first thing that must not be.
func (w *world) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
		w.trace("FOUND: %s", w.failure)
	}
}

func (w *world) must(err error) {
	if err != nil {
		w.fail("%v", err)
	}
}

func (w *world) trace(format string, args ...any) {
	if !w.rules.Story {
		return
	}
	if len(w.lines) >= maxLines {
		w.lines = w.lines[1:]
		w.dropped++
	}
	w.lines = append(w.lines, fmt.Sprintf("%9.3f  ", w.now.Seconds())+fmt.Sprintf(format, args...))
}

func (w *world) traceCommand(index uint64, c state.Command) {
	if w.rules.Story {
		w.trace("index %d: %T%+v", index, c, c)
	}
}

// size is how large a cluster is.
type size struct{ voters, origins, edges, streams int }

// sizeOf chooses: most clusters are small, a few have hundreds of nodes.
func sizeOf(rng *rand.Rand) size {
	s := size{voters: 3, origins: rng.IntN(4), edges: 1 + rng.IntN(5), streams: 1 + rng.IntN(5)}
	if rng.IntN(3) == 0 {
		s.voters = 5
	}
	switch roll := rng.IntN(100); {
	case roll == 0:
		s.origins, s.edges, s.streams = 5+rng.IntN(20), 150+rng.IntN(150), 10+rng.IntN(20)
	case roll < 8:
		s.origins, s.edges, s.streams = 2+rng.IntN(8), 10+rng.IntN(30), 5+rng.IntN(10)
	}
	return s
}

func newWorld(seed uint64, rules Rules) *world { return newWorldOf(seed, rules, sizeOf) }

// newWorldOf is newWorld with a size that is chosen otherwise.
func newWorldOf(seed uint64, rules Rules, choose func(*rand.Rand) size) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0x746d6d73)), rules: rules.withDefaults(), byID: map[string]*node{}}
	w.net = &network{w: w, loss: w.rng.Float64() * 0.01, jitter: w.within(10 * time.Millisecond)}
	s := choose(w.rng)
	for i := range s.streams {
		w.streams = append(w.streams, &stream{w: w, index: i, key: media.StreamKey{
			Domain: domain, App: app, Stream: fmt.Sprintf("s%d", i),
		}, weight: 20 + w.rng.IntN(130)})
	}
	for i := range s.voters + s.origins + s.edges {
		w.add(i, s)
	}
	w.check = newChecker(w)
	return w
}

func (w *world) add(i int, s size) {
	n := &node{w: w, index: i, origin: i < s.voters+s.origins, voter: i < s.voters}
	switch {
	case n.voter:
		n.id, n.log = fmt.Sprintf("v%d", i), &log{n: n}
		w.voters = append(w.voters, n)
	case n.origin:
		n.id = fmt.Sprintf("o%d", i)
	default:
		n.id = fmt.Sprintf("e%d", i)
		for range 1 + w.rng.IntN(2) {
			n.watching = append(n.watching, w.rng.IntN(len(w.streams)))
		}
	}
	if n.origin {
		w.origins = append(w.origins, n)
	}
	n.base = w.rng.IntN(40)
	n.region, n.zone = fmt.Sprintf("r%d", w.rng.IntN(2)), fmt.Sprintf("z%d", w.rng.IntN(2))
	w.nodes, w.byID[n.id] = append(w.nodes, n), n
}

// begin starts everything.
func (w *world) begin() {
	for _, n := range w.nodes {
		n.skew = w.within(time.Second)
		w.at(w.within(time.Second), n.start)
	}
	for _, st := range w.streams {
		w.at(3*time.Second+w.within(2*time.Second), func() { st.live = true })
		var again func()
		again = func() {
			st.tick()
			w.at(w.now+encoderLooks, again)
		}
		w.at(w.within(encoderLooks), again)
	}
}
