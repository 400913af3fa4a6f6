package relay

import (
	"maps"
	"slices"
	"time"

	"tmms/cluster/pki"
	"tmms/cluster/placement"
	"tmms/media"
)

// Of the look at the nodes around.
const (
	// surveyInterval is the pause between two samples of the ways to other nodes.
	surveyInterval = time.Second
	// warmUp is how long after its start a node takes members as they come: they
	// were there before, it only has to hear of them.
	warmUp = 10 * time.Second
	// maxProbation bounds the time that a member which comes and goes must stay
	// before anything moves to it.
	maxProbation = 5 * time.Minute
)

// region is what a node knows of the edges around it. It is immutable.
type region struct {
	number   uint64 // rises when ids change
	name     string
	ids      []string // edges that are there, ordered; this node too
	fresh    []string // those of them that have just come: nothing moves to them yet
	verdicts map[way]placement.Verdict
	paths    map[string]placement.Path // by node id
}

// way is that from a shield to the owner of streams.
type way struct{ shield, owner string }

// order lists the edges to ask for a stream, the owner left out.
func (r *region) order(key media.StreamKey, owner string) []string {
	ids := slices.DeleteFunc(slices.Clone(r.ids), func(id string) bool { return id == owner })
	return placement.Order(r.name, key, ids)
}

// verdict is that on an edge for the streams of an owner.
func (r *region) verdict(id, owner string) placement.Verdict {
	if v := r.verdicts[way{id, owner}]; v != placement.Fit {
		return v
	}
	if slices.Contains(r.fresh, id) {
		return placement.New
	}
	return placement.Fit
}

// survey follows the members of the region. It belongs to the puller's Run.
type survey struct {
	// Set at construction.
	steady time.Duration
	began  time.Time

	known  map[string]*neighbour // by id
	judges map[way]placement.Judge
	last   *region // nil: none yet
}

// neighbour is an edge of the region.
type neighbour struct {
	there bool
	since time.Time     // when it came, or went
	stays time.Duration // how long it must be there until anything moves to it
}

// look makes the region of the members that there are; changed: pulls have to look
// at it.
func (s *survey) look(view seen, now time.Time) (r *region, changed bool) {
	r = &region{name: view.region, paths: view.paths}
	if s.last != nil {
		r.number = s.last.number
	}
	s.meet(view.edges, now)
	for id, n := range s.known {
		if n.there {
			r.ids = append(r.ids, id)
		}
		if n.there && id != view.self && now.Sub(n.since) < n.stays {
			r.fresh = append(r.fresh, id)
		}
	}
	slices.Sort(r.ids)
	slices.Sort(r.fresh)
	if s.last == nil || s.last.name != r.name || !slices.Equal(r.ids, s.last.ids) || !slices.Equal(r.fresh, s.last.fresh) {
		r.number++
		changed = true
	}
	if view.sampled {
		s.judge(view, r.ids)
	}
	r.verdicts = map[way]placement.Verdict{}
	for w, j := range s.judges {
		if v := j.Verdict(); v != placement.Fit {
			r.verdicts[w] = v
		}
	}
	changed = changed || !maps.Equal(r.verdicts, s.last.verdicts)
	s.last = r
	return r, changed
}

// meet notes who has come and who has gone. Who comes back soon after it went has to
// stay longer, twice as long each time.
func (s *survey) meet(edges map[string]bool, now time.Time) {
	for id, n := range s.known {
		switch {
		case n.there && !edges[id]:
			if now.Sub(n.since) > 2*maxProbation {
				n.stays = 0
			}
			n.there, n.since = false, now
		case !n.there && now.Sub(n.since) > 2*maxProbation:
			delete(s.known, id)
		}
	}
	for id := range edges {
		n := s.known[id]
		switch {
		case n == nil && now.Sub(s.began) < max(warmUp, s.steady):
			s.known[id] = &neighbour{there: true, since: now}
		case n == nil:
			s.known[id] = &neighbour{there: true, since: now, stays: s.steady}
		case !n.there:
			n.there, n.since = true, now
			n.stays = min(max(2*n.stays, s.steady), maxProbation)
		}
	}
}

// judge takes a sample of each way that is in use.
func (s *survey) judge(view seen, ids []string) {
	next := make(map[way]placement.Judge, len(ids)*len(view.owners))
	for _, id := range ids {
		for owner := range view.owners {
			w := way{id, owner}
			path := view.paths[id]
			if id == view.self {
				path.RTT, path.Loss = 0, 0
			}
			next[w] = s.judges[w].Sample(path, view.paths[owner])
		}
	}
	s.judges = next
}

// seen is what a puller sees of the cluster at one moment.
type seen struct {
	self    string
	region  string
	edges   map[string]bool           // of the region, healthy and known to the cluster's state
	paths   map[string]placement.Path // by id
	owners  map[string]bool           // of the streams that are pulled
	sampled bool                      // the paths are new ones
}

// see looks around; ok = false: this node is not among the members.
func (p *Puller) see(sampled bool) (v seen, ok bool) {
	v = seen{
		self: p.cluster.ID(), edges: map[string]bool{}, owners: map[string]bool{},
		paths: map[string]placement.Path{}, sampled: sampled,
	}
	members := p.members.Members()
	for _, m := range members {
		v.paths[m.ID] = placement.Path{RTT: m.RTT, Load: m.Load}
		if m.ID == v.self {
			v.region, ok = m.Region, true
		}
	}
	for _, m := range members {
		if m.Region == v.region && m.Edge && m.Healthy && p.isEdge(m.ID) {
			v.edges[m.ID] = true
		}
	}
	p.measure(v.paths)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pl := range p.pulls.All() {
		if owner := pl.placement.Owner; owner != "" {
			v.owners[owner] = true
		}
	}
	return v, ok
}

// isEdge tells that the cluster's state has a node as an edge that can be dialed.
func (p *Puller) isEdge(id string) bool {
	n, ok := p.cluster.Node(id)
	return ok && n.Addresses[fabricAddress] != "" && slices.Contains(n.Roles, pki.RoleEdge)
}

// lookAround makes the region anew and wakes the pulls if they have to see it.
func (p *Puller) lookAround(sampled bool) {
	v, ok := p.see(sampled)
	if !ok {
		return
	}
	r, changed := p.survey.look(v, time.Now())
	p.region.Store(r)
	if !changed {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pl := range p.pulls.All() {
		pl.poke()
	}
}

// measure puts what the sessions have measured in the place of what the members say.
func (p *Puller) measure(paths map[string]placement.Path) {
	p.mu.Lock()
	defer p.mu.Unlock()
	byName := make(map[string]placement.Path, len(p.links))
	for s, l := range p.links {
		byName[s.Peer().Name] = l.measure()
	}
	for id, path := range paths {
		n, ok := p.cluster.Node(id)
		if way, measured := byName[n.Name]; ok && measured {
			path.RTT, path.Loss = way.RTT, way.Loss
			paths[id] = path
		}
	}
}
