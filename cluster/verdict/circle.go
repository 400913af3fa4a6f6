package verdict

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"tmms/media"
)

// CircleLimit is how long a verdict by silence may wait, after [Silence], until all
// edges have been asked: a single one of them may be the subscriber that knows better.
const CircleLimit = time.Second

const (
	// circleTries is how often an edge that does not answer is asked in a doubt: the way
	// to it may have to be opened first, or it is dead too.
	circleTries = 2
	// vetoers is how many of those that keep nodes alive are asked in every round:
	// their vetoes must not grow old while the others are asked.
	vetoers = 64
)

// Round gives the edges to ask about nodes in doubt, of those that live, which are
// sorted: at most [media.MaxWitnessEdges]. First come those that keep one of the nodes
// alive, then those that were not asked in this doubt yet; when all were, some, in turn.
func (c *Court) Round(about, edges []string, now time.Duration) (ask []string) {
	limit := cmp.Or(c.cfg.RoundEdges, media.MaxWitnessEdges)
	alive := make(map[string]bool, len(edges))
	for _, id := range edges {
		alive[id] = true
	}
	var open []*node
	for _, id := range about {
		n := c.nodes[id]
		if n == nil {
			continue
		}
		n.begin(edges, alive)
		open = append(open, n)
	}
	chosen := make(map[string]bool, limit)
	add := func(ids []string, most int) {
		for _, id := range ids {
			if len(ask) < limit && most > 0 && alive[id] && !chosen[id] {
				chosen[id], ask = true, append(ask, id)
				most--
			}
		}
	}
	for _, n := range open {
		add(n.vetoing(now), max(vetoers/len(open), 1))
	}
	waiting := unasked(open, edges)
	add(waiting, limit)
	if len(waiting) == 0 && len(edges) > 0 {
		c.turn %= len(edges)
		before := len(ask)
		add(slices.Concat(edges[c.turn:], edges[:c.turn]), media.WitnessEdges)
		c.turn += len(ask) - before
	}
	return ask
}

// Asked notes that an edge has answered questions about nodes, or did not in time.
func (c *Court) Asked(edge string, about []string, answered bool) {
	for _, id := range about {
		n := c.nodes[id]
		if n == nil {
			continue
		}
		tries, waits := n.pending[edge]
		switch {
		case !waits:
		case answered || tries+1 >= circleTries:
			delete(n.pending, edge)
		default:
			n.pending[edge] = tries + 1
		}
	}
}

// Circling reports whether some edges were not asked yet about nodes in doubt.
func (c *Court) Circling(about []string) bool {
	return slices.ContainsFunc(about, func(id string) bool {
		n := c.nodes[id]
		return n != nil && (!n.circling || len(n.pending) > 0)
	})
}

// begin has all edges asked about a node that is in doubt, once in a doubt. Those that
// are gone meanwhile are not waited for.
func (n *node) begin(edges []string, alive map[string]bool) {
	if n.circling {
		maps.DeleteFunc(n.pending, func(id string, _ int) bool { return !alive[id] })
		return
	}
	n.circling, n.pending = true, make(map[string]int, len(edges))
	for _, id := range edges {
		n.pending[id] = 0
	}
}

// acquit forgets what was said about a silence that is over.
func (n *node) acquit() { n.reports, n.pending, n.circling = nil, nil, false }

// vetoing are those that keep the node alive now, by id.
func (n *node) vetoing(now time.Duration) (ids []string) {
	for id, r := range n.reports {
		if r.vetoes(now) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// unasked are the edges that are to be asked about one of the nodes: those first that
// were not, then those that did not answer.
func unasked(nodes []*node, edges []string) (ids []string) {
	var again []string
	for _, id := range edges {
		waits, tries := false, circleTries
		for _, n := range nodes {
			if t, ok := n.pending[id]; ok {
				waits, tries = true, min(tries, t)
			}
		}
		switch {
		case waits && tries == 0:
			ids = append(ids, id)
		case waits:
			again = append(again, id)
		}
	}
	return append(ids, again...)
}

// keep makes room for a report: for one that vetoes a node's death in any case.
func (n *node) keep(r heardOf, now time.Duration) bool {
	if len(n.reports) < media.MaxReports {
		return true
	}
	maps.DeleteFunc(n.reports, func(_ string, old heardOf) bool { return !old.fresh(now) })
	if len(n.reports) < media.MaxReports {
		return true
	}
	if !r.vetoes(now) {
		return false
	}
	for _, id := range slices.Sorted(maps.Keys(n.reports)) {
		if !n.reports[id].vetoes(now) {
			delete(n.reports, id)
			return true
		}
	}
	return false
}
