package verdict

import (
	"maps"
	"math"
	"slices"
	"time"

	"tmms/media"
)

// Of the fast path.
const (
	// Silence is how long nothing may come from a node until it can be found dead.
	Silence = 1500 * time.Millisecond
	// Suspicion is after what silence a claim against a node's streams is held:
	// more than the pause between two signs of life of an idle session.
	Suspicion = 600 * time.Millisecond
	// Doubt is after what silence others are asked: early enough that the way to
	// them is open when their answer counts.
	Doubt = time.Second
	// MediaVeto is how long media that came from a node keeps it alive.
	MediaVeto = time.Second
	// ReportLife is how long a report counts.
	ReportLife = time.Second
	// MaxGap is how long the judge may stand still, a quarter of a shorter term, until
	// what it has not heard meanwhile says nothing about others. A quarter of a term
	// is what the leases allow.
	MaxGap = 500 * time.Millisecond
)

// Config of a [Court].
type Config struct {
	// Self is the id of the node that judges; it is never found dead. "" is nobody.
	Self string
	// Term is that of the leases.
	Term time.Duration
	// RoundEdges is how many edges are asked in a round, media.MaxWitnessEdges if 0.
	RoundEdges int
	// MaxNodes bounds the nodes that are remembered, media.MaxNodes if 0.
	MaxNodes int
}

// Path is how a node was found dead.
type Path string

// The paths.
const (
	Alive     Path = ""        // it is not dead
	BySilence Path = "silence" // seen by two, vetoed by nobody
	ByLease   Path = "lease"   // not renewed for a term
)

// Court judges nodes for the leader. It belongs to one goroutine at a time.
type Court struct {
	cfg     Config
	granted time.Duration // when all were given a lease
	fresh   time.Duration // silence begins here at the earliest
	ticked  time.Duration // the last tick
	nodes   map[string]*node
	turn    int // of the edges that are asked once all were
}

// node is what is known of one.
type node struct {
	renewed, heard time.Duration
	hasRenewed     bool
	hasHeard       bool
	starting       bool               // as it says itself
	reports        map[string]heardOf // by who gave them; nil: none
	circling       bool               // edges are asked about it, and
	pending        map[string]int     // these not yet, or so often in vain
}

// New gives a court that begins at now: every node has a full lease, since earlier
// renewals are not known, and of none it is known when it was heard.
func New(cfg Config, now time.Duration) *Court {
	if cfg.MaxNodes == 0 {
		cfg.MaxNodes = media.MaxNodes
	}
	return &Court{cfg: cfg, granted: now, ticked: now, fresh: math.MinInt64, nodes: map[string]*node{}}
}

// Tick says that the judge runs; it is called several times in [MaxGap]. After a
// longer gap everybody begins anew, and it is true.
func (c *Court) Tick(now time.Duration) (stood bool) {
	gap := now - c.ticked
	c.ticked = now
	if gap > c.cfg.Term/leaseGap {
		c.GrantAll(now)
	}
	if stood = gap > min(MaxGap, c.cfg.Term/leaseGap); stood {
		c.fresh = now
		for _, n := range c.nodes {
			n.acquit()
		}
	}
	return stood
}

// leaseGap is the part of a term that the judge may stand still without giving
// everybody a new lease: more than a starved process does all the time, or nobody
// would ever be found dead.
const leaseGap = 4

// GrantAll gives every node a full lease again, whatever was heard of it.
func (c *Court) GrantAll(now time.Duration) { c.granted = now }

// node finds or makes the record of a node; nil: there are too many.
func (c *Court) node(id string) *node {
	n := c.nodes[id]
	if n == nil && len(c.nodes) < c.cfg.MaxNodes {
		n = &node{}
		c.nodes[id] = n
	}
	return n
}

// Renewed notes that a node has renewed its lease; false: too many nodes hold one.
func (c *Court) Renewed(id string, now time.Duration) bool {
	n := c.node(id)
	if n == nil {
		return false
	}
	n.renewed, n.hasRenewed = max(n.renewed, now), true
	c.Heard(id, now)
	return true
}

// Starts notes whether a node says that it is starting: that its process has nothing
// of what the cluster believes it has.
func (c *Court) Starts(id string, is bool) {
	if n := c.nodes[id]; n != nil {
		n.starting = is
	}
}

// Starting reports whether a node has last said that it is starting.
func (c *Court) Starting(id string) bool {
	n := c.nodes[id]
	return n != nil && n.starting
}

// Heard notes that something came from a node over the fabric, at a time that may
// have passed: what the judge's own node heard before it judged counts too.
func (c *Court) Heard(id string, at time.Duration) {
	n := c.node(id)
	if n == nil || n.hasHeard && at <= n.heard {
		return
	}
	n.heard, n.hasHeard = at, true
	n.acquit()
}

// Report notes what a node says of another, and of itself. Of each node the last report counts;
// of one that is not in doubt none is kept.
func (c *Court) Report(from, about string, r Report, now time.Duration) {
	c.Starts(from, r.Starting)
	n := c.nodes[about]
	if n == nil || from == about || from == c.cfg.Self || c.silent(n, now) < Doubt {
		return
	}
	if n.reports == nil {
		n.reports = map[string]heardOf{}
	}
	said := heardOf{r, now}
	if _, known := n.reports[from]; known || n.keep(said, now) {
		n.reports[from] = said
	}
}

// silent is the time since a node was heard; 0 if it never was.
func (c *Court) silent(n *node, now time.Duration) time.Duration {
	if !n.hasHeard {
		return 0
	}
	return max(now-max(n.heard, c.fresh), 0)
}

// Silent is the time since something came from a node; 0 if nothing ever did.
func (c *Court) Silent(id string, now time.Duration) time.Duration {
	if n := c.nodes[id]; n != nil {
		return c.silent(n, now)
	}
	return 0
}

// Age is the time since a node's lease was renewed or given.
func (c *Court) Age(id string, now time.Duration) time.Duration {
	last := c.granted
	if n := c.nodes[id]; n != nil && n.hasRenewed {
		last = max(last, n.renewed)
	}
	return now - last
}

// Verdict says how a node was found dead, of a node too that was never heard of.
func (c *Court) Verdict(id string, now time.Duration) Path {
	switch {
	case id == c.cfg.Self:
		return Alive
	case c.Age(id, now) > c.cfg.Term:
		return ByLease
	case c.silenced(id, now):
		return BySilence
	}
	return Alive
}

// silenced reports whether the fast path finds a node dead.
func (c *Court) silenced(id string, now time.Duration) bool {
	n := c.nodes[id]
	if n == nil || c.silent(n, now) < Silence {
		return false
	}
	if len(n.pending) > 0 && c.silent(n, now) < Silence+CircleLimit {
		return false // one that was not asked yet may have media from it
	}
	seen := false
	for _, r := range n.reports {
		if r.vetoes(now) {
			return false
		}
		seen = seen || r.witnesses(Silence, now)
	}
	return seen
}

// Doubts are the nodes to ask others about now, ordered by id.
func (c *Court) Doubts(now time.Duration) []string {
	return c.which(func(id string, n *node) bool { return id != c.cfg.Self && c.silent(n, now) >= Doubt })
}

// Dead are those found dead among the nodes that were ever heard of, ordered by id.
func (c *Court) Dead(now time.Duration) []string {
	return c.which(func(id string, _ *node) bool { return c.Verdict(id, now) != Alive })
}

func (c *Court) which(is func(id string, n *node) bool) []string {
	var ids []string
	for id, n := range c.nodes {
		if is(id, n) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Suspect reports whether a claim against a node's streams is to be held, since it
// may be found dead soon. Who holds one does so no longer than [media.MaxClaimHold].
func (c *Court) Suspect(id string, now time.Duration) bool {
	return id != c.cfg.Self && (c.Silent(id, now) >= Suspicion || c.Verdict(id, now) != Alive)
}

// Forget removes the nodes of which nothing was heard for so long.
func (c *Court) Forget(after, now time.Duration) {
	maps.DeleteFunc(c.nodes, func(id string, n *node) bool {
		return c.Age(id, now) > after && (!n.hasHeard || now-n.heard > after)
	})
}
