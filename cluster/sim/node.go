package sim

import (
	"slices"
	"time"

	"tmms/cluster/state"
)

// node is a machine with a process on it, or none.
type node struct {
	w      *world
	index  int
	id     string
	region string
	zone   string
	origin bool
	voter  bool

	// Of the machine.
	disk     snapshot
	skew     time.Duration // of the wall clock
	base     int           // load without streams, of 255
	lost     bool          // it never starts again
	troubled time.Duration // when something was last wrong with it
	log      *log          // nil without a vote; a part of it is on disk

	// Of the process.
	up       bool
	life     int           // how many processes there were
	stands   bool          // it is stopped
	stood    time.Duration // since when
	held     []func()      // what waits meanwhile
	view     Machine
	changed  bool            // the view, since the sessions looked
	heard    []time.Duration // when something came, by node; 0: never
	media    []time.Duration // when media came, by node; 0: never
	renewed  time.Duration   // the lease, as this node knows it
	readAt   uint64          // index that a leader has told to be committed; 0: not asked yet
	reading  bool            // a leader is asked for it
	entering bool            // it is about to tell the cluster of itself
	joined   bool            // it has
	from     *node           // the voter that it follows
	marked   time.Duration   // when that last said something
	seen     uint64          // index of the log up to which it follows
	fed      []uint64        // by node: up to where a follower was sent the log; 0: it does not follow
	hint     *node           // who leads, as far as it knows
	lead     *leadership     // nil unless it leads and has begun to
	sessions []*session      // by stream; nil: none
	copies   []*holding      // by stream; nil: not its standby
	ingests  []*ingest       // publishers that are here
	claiming []bool          // by stream
	ended    []uint64        // by stream: the epoch that has ended here
	load     uint8           // what gossip tells of it
	watching []int           // streams that the viewers of an edge want
	got      []seen          // by stream: what they have seen
}

// snapshot is what a voter has on disk beside its log.
type snapshot struct {
	index uint64
	bytes []byte
}

const (
	// snapshotEvery is the number of commands between two snapshots of a voter.
	snapshotEvery = 32
	pingEvery     = 375 * time.Millisecond // two of them in a keep-alive, which is sent again when lost
	loadEvery     = 2 * time.Second
	// fullest is the highest load: of who says more nobody wants a standby either.
	fullest      = 230
	watchEvery   = 500 * time.Millisecond
	watchTimeout = 2 * time.Second
	leaseTerm    = 10 * time.Second
	renewEvery   = 3 * time.Second
	renewTimeout = 1500 * time.Millisecond
	// startRenewals is between two renewals of a node that starts.
	startRenewals = 300 * time.Millisecond
	wallStart     = int64(1_700_000_000_000) // unix ms at the start
)

func (n *node) String() string { return n.id }

// wallMS is the node's wall clock.
func (n *node) wallMS() int64 { return wallStart + (n.w.now + n.skew).Milliseconds() }

// whenRuns runs f in a life of the process, now or when it goes on.
func (n *node) whenRuns(life int, f func()) {
	switch {
	case !n.up || n.life != life:
	case n.stands:
		n.held = append(n.held, func() { n.whenRuns(life, f) })
	default:
		f()
	}
}

// after runs f once, unless the process ends before.
func (n *node) after(d time.Duration, f func()) {
	life := n.life
	n.w.at(n.w.now+d, func() { n.whenRuns(life, f) })
}

// every runs f again and again until the process ends, first within d.
func (n *node) every(d time.Duration, f func()) {
	var again func()
	again = func() {
		f()
		n.after(d-d/16+n.w.within(d/8), again)
	}
	n.after(n.w.within(d), again)
}

// start begins a process.
func (n *node) start() {
	w := n.w
	n.up, n.stands, n.held = true, false, nil
	n.life++
	n.view, n.changed = w.rules.Machine(), false
	n.heard, n.media = make([]time.Duration, len(w.nodes)), make([]time.Duration, len(w.nodes))
	n.entering, n.joined = false, false
	n.seen, n.renewed, n.from, n.hint, n.lead, n.marked = 0, w.now, nil, nil, nil, w.now
	n.sessions, n.copies, n.ingests = make([]*session, len(w.streams)), make([]*holding, len(w.streams)), nil
	n.got, n.claiming = make([]seen, len(w.streams)), make([]bool, len(w.streams))
	n.ended, n.fed = make([]uint64, len(w.streams)), make([]uint64, len(w.nodes))
	if n.log != nil {
		if n.disk.bytes != nil {
			w.must(n.view.Restore(n.disk.bytes))
		}
		n.log.restart()
	} else {
		n.every(watchEvery, n.follow)
	}
	n.readAt, n.reading = 0, false
	n.every(pingEvery, n.ping)
	n.after(0, n.renew)
	n.every(mediaEvery, n.tick)
	n.every(loadEvery, n.tellLoad)
	n.dirty()
}

// resume lets a process that stood go on: with all that has come meanwhile. What it
// did not hear in that time counts for nobody.
func (n *node) resume() {
	gap := n.w.now - n.stood
	for i, at := range n.heard {
		if at > 0 {
			n.heard[i] = at + gap
		}
	}
	held := n.held
	n.stands, n.held = false, nil
	for _, f := range held {
		n.w.at(n.w.now, f)
	}
}

// kill ends the process at once.
func (n *node) kill() {
	if n.lead != nil {
		n.endLead()
	}
	n.up, n.stands, n.held = false, false, nil
	n.life++
}

// tellLoad tells how much the streams of this node are to it. Gossip brings that
// everywhere at once here: loads may be wrong, and nothing but balance depends on them.
func (n *node) tellLoad() {
	load := n.base
	for i, s := range n.sessions {
		if s != nil {
			load += n.w.streams[i].weight
		}
	}
	n.load = uint8(min(load, fullest)) //nolint:gosec // bounded just here
}

// ping keeps the sessions with the voters alive.
func (n *node) ping() {
	for _, v := range n.w.voters {
		if v != n {
			n.w.send(n, v, func() { n.w.send(v, n, func() {}) })
		}
	}
}

// apply takes the command at an index of the log to this node's copy.
func (n *node) apply(index uint64, e entry) any {
	if e.command == nil {
		n.w.check.committed(n, index, e, nil)
		return nil
	}
	result, err := n.view.Apply(index, e.command)
	if err != nil {
		n.w.fail("%s cannot apply the command at %d: %v", n, index, err)
		return nil
	}
	n.dirty()
	n.w.check.committed(n, index, e, result)
	if n.voter && index >= n.disk.index+snapshotEvery {
		b, err := n.view.Snapshot()
		n.w.must(err)
		n.disk = snapshot{index, b}
	}
	return result
}

// follow asks a voter for what has changed, and another one if that is silent.
func (n *node) follow() {
	w := n.w
	if n.from == nil || w.now-n.marked > watchTimeout {
		n.from, n.marked = n.nextVoter(n.from), w.now
	}
	from, at := n.from, n.seen
	w.send(n, from, func() { from.serve(n, at) })
}

// served bounds the commands in one answer to a follower.
const served = 64

// serve gives a follower what comes after an index: commands, or a snapshot where
// it is far behind, as one that has just begun is.
func (n *node) serve(to *node, at uint64) {
	l := n.log
	leads := l.leads
	if at+served < l.applied {
		b, err := n.view.Snapshot()
		n.w.must(err)
		n.w.send(n, to, func() { to.restore(b, n, leads) })
		return
	}
	n.feed(to, min(at, l.applied))
}

// push sends what was applied just now to those who follow.
func (n *node) push() {
	for i, at := range n.fed {
		if to := n.w.nodes[i]; at > 0 && at < n.log.applied && to.up && to.from == n {
			n.feed(to, at)
		}
	}
}

func (n *node) feed(to *node, at uint64) {
	list, leads := n.log.entries[at:n.log.applied], n.log.leads
	n.fed[to.index] = n.log.applied
	n.w.send(n, to, func() { to.served(at, list, n, leads) })
}

func (n *node) mark(from, leads *node) {
	if from == n.from {
		n.marked = n.w.now
	}
	if leads != nil {
		n.hint = leads
	}
}

func (n *node) restore(b []byte, from, leads *node) {
	n.mark(from, leads)
	fresh := n.w.rules.Machine()
	n.w.must(fresh.Restore(b))
	if fresh.Index() > n.view.Index() {
		n.view, n.seen = fresh, fresh.Index()
		n.dirty()
		n.w.check.restored(n)
	}
	n.enter()
}

func (n *node) served(at uint64, list []entry, from, leads *node) {
	n.mark(from, leads)
	if at > n.seen {
		return // something before it was lost; it is asked for again
	}
	for i, e := range list {
		index := at + uint64(i) + 1
		n.seen = max(n.seen, index)
		if index > n.view.Index() && e.command != nil {
			n.apply(index, e)
		}
	}
	n.enter()
}

// ready reports whether the copy is as new as what was committed when the leader was
// asked. Until then nothing may be decided from it: what this node is given meanwhile
// would be taken for what an earlier process of it had.
func (n *node) ready() bool {
	to := n.leader()
	switch {
	case n.readAt > 0:
		return n.view.Index() >= n.readAt
	case n.reading || to == nil:
		return false
	case to == n:
		if n.lead != nil {
			n.readAt = n.w.check.lastIndex()
		}
		return false
	}
	n.reading = true
	ask(n, to, renewTimeout, func(answer func(uint64)) {
		if to.lead != nil { // a majority confirms that, which is taken for granted here
			answer(n.w.check.lastIndex())
		}
	}, func(index uint64, ok bool) {
		n.reading = false
		if ok {
			n.readAt = index
		}
	})
	return false
}

// enter begins to join the cluster once its copy is there.
func (n *node) enter() {
	if n.entering || n.joined || !n.ready() || !n.view.Initialized() {
		return
	}
	n.entering = true
	if n.origin && n.isPlaced() {
		n.disown()
		return
	}
	n.join()
}

// disown gives up what an earlier process had, and what the node was given since for
// what that had: before the first claim.
func (n *node) disown() {
	c := state.FailOver{Node: n.id, MaxEpoch: n.view.Epoch(), AtUnixMS: n.wallMS()}
	n.proposeAndSee(c, func(ok bool) {
		if !ok || n.w.rules.Disowns(n) {
			n.disown()
			return
		}
		n.join()
	})
}

// join tells the cluster of this node.
func (n *node) join() {
	n.joined = true
	roles := []string{"edge"}
	if n.origin {
		roles = []string{"origin"}
	}
	n.dirty()
	n.propose(state.UpsertNode{Node: state.Node{
		ID: n.id, Name: n.id, Roles: roles, Region: n.region, Zone: n.zone, Level: state.Level, AtUnixMS: n.wallMS(),
	}}, nil)
}

// owns reports whether the node owns a stream, as its copy has it.
func (n *node) owns() bool { return slices.Contains(n.view.Owners(), n.id) }

// isPlaced reports whether the node owns a stream or is the standby of one.
func (n *node) isPlaced() bool {
	return slices.ContainsFunc(n.view.Placements(), func(p state.PlacedStream) bool {
		return p.Owner == n.id || p.Standby == n.id
	})
}

// dirty has the sessions look at the placements soon.
func (n *node) dirty() {
	if !n.changed {
		n.changed = true
		n.after(lookPause, n.look)
	}
}

// leader is the voter that this node believes to lead.
func (n *node) leader() *node {
	if n.log != nil {
		return n.log.leads
	}
	return n.hint
}

// nextVoter is the one to try after another, any after none: one that is dead is not
// tried again before the others were.
func (n *node) nextVoter(after *node) *node {
	voters := n.w.voters
	i := slices.Index(voters, after)
	if i < 0 {
		return voters[n.w.rng.IntN(len(voters))]
	}
	return voters[(i+1)%len(voters)]
}

// renew renews the lease with the leader, soon again if that fails.
func (n *node) renew() {
	to, asked := n.leader(), n.w.now
	again := func(ok bool) {
		if ok {
			n.renewed = asked
			pause := renewEvery
			if !n.joined {
				pause = startRenewals
			}
			n.after(pause, n.renew)
			return
		}
		n.hint = n.nextVoter(to)
		n.after(renewEvery/8+n.w.within(renewEvery/4), n.renew)
	}
	switch to {
	case nil:
		again(false)
	case n:
		again(n.lead != nil)
	default:
		starting := !n.joined
		ask(n, to, renewTimeout, func(answer func(bool)) {
			if to.lead != nil {
				to.lead.renewal(n.id, starting)
			}
			answer(to.lead != nil)
		}, func(ok, came bool) { again(ok && came) })
	}
}

// setDrain has this node ask for a drain, or for its end.
func (n *node) setDrain(of *node, on bool) {
	n.propose(state.SetDrain{Node: of.id, On: on, AtUnixMS: n.wallMS(), By: "test"}, nil)
}
