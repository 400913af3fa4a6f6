package relay

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tmms/cluster/placement"
	"tmms/cluster/state"
)

// source is where a pull subscribes.
type source struct {
	node   string // id
	shield bool   // it is asked as a shield, not as the owner
	reason string // why it is this one
}

func (s source) same(other source) bool { return s.node == other.node && s.shield == other.shield }

// route is a pull's choice of its source. It belongs to the pull's goroutine.
type route struct {
	order []string // the edges of the region but the owner, this node too
	made  uint64   // for the region of that number, and
	owner string   // for that owner

	tried   map[string]bool      // nodes asked since the source fell silent
	avoided map[string]time.Time // nodes that have not got this stream, until then
	better  source               // where the pull should be, while it is elsewhere
	since   time.Time            // when that began
	hedgeAt time.Time            // no hedge before
	at      time.Time            // when to look again; zero: no need
}

// settled forgets what a source in trouble made necessary.
func (r *route) settled() { r.tried, r.better, r.hedgeAt = nil, source{}, time.Time{} }

// avoidFor is how long a shield is not asked for a stream that it could not go on with.
const avoidFor = 10 * time.Second

// blame notes what a shield has done wrong; false: nothing, the same one may be
// asked again.
func (p *pull) blame(in *intake, err error, now time.Time) bool {
	switch {
	case errors.Is(err, errUnconfirmed), errors.Is(err, errSuperseded):
		return false // one of both knows the placement later
	case errors.Is(err, errRefused), errors.Is(err, errGap):
		if p.route.avoided == nil {
			p.route.avoided = map[string]time.Time{}
		}
		p.route.avoided[in.node] = now.Add(avoidFor)
	default:
		p.puller.faults.note(in.node, now)
	}
	return true
}

// candidates lists the nodes that may be asked, in the order of choice.
func (p *pull) candidates(owner string, now time.Time) []placement.Candidate {
	r := p.puller.region.Load()
	if r == nil {
		return nil
	}
	if p.route.order == nil || p.route.made != r.number || p.route.owner != owner {
		p.route.order, p.route.made, p.route.owner = r.order(p.feed.key, owner), r.number, owner
	}
	list := make([]placement.Candidate, len(p.route.order))
	for i, id := range p.route.order {
		self := id == p.puller.cluster.ID()
		list[i] = placement.Candidate{
			ID: id, Self: self, Verdict: r.verdict(id, owner),
			Barred: !self && (p.route.tried[id] || now.Before(p.route.avoided[id]) || p.puller.faults.barred(id, now)),
		}
		if in := p.intake; in != nil && in.node == id && list[i].Verdict == placement.New {
			list[i].Verdict = placement.Fit // it was away for a moment, and nobody has noticed
		}
	}
	return list
}

// pick chooses where to subscribe.
func (p *pull) pick(at state.Placement, readers want, now time.Time) source {
	switch {
	case readers.standby:
		return source{node: at.Owner, reason: "this node is the stream's standby"}
	case readers.shield:
		return source{node: at.Owner, reason: "other nodes have asked this one as their shield"}
	}
	list := p.candidates(at.Owner, now)
	i := placement.Choose(list)
	switch {
	case len(list) == 0:
		return source{node: at.Owner, reason: "no edge of the region is known that could be a shield"}
	case i < 0:
		return source{node: at.Owner, reason: "no shield is fit: " + passed(list)}
	case list[i].Self && len(list) == 1:
		return source{node: at.Owner, reason: "there is no other edge in the region"}
	case list[i].Self:
		return source{node: at.Owner, reason: "this node is the region's shield for the stream" + after(list[:i])}
	}
	return source{node: list[i].ID, shield: true, reason: "the region's shield for the stream" + after(list[:i])}
}

// after says who was passed over; "" nobody.
func after(list []placement.Candidate) string {
	if len(list) == 0 {
		return ""
	}
	return ", after " + passed(list)
}

func passed(list []placement.Candidate) string {
	said := make([]string, len(list))
	for i, c := range list {
		said[i] = fmt.Sprintf("%s (%s)", c.ID, verdict(c))
	}
	return strings.Join(said, ", ")
}

func verdict(c placement.Candidate) string {
	if c.Barred {
		return "failed just now"
	}
	return c.Verdict.String()
}

// spare is the node to ask besides a source that is silent: the next that was not
// asked yet, at last the owner; false: all were.
func (p *pull) spare(at state.Placement, now time.Time) (source, bool) {
	if p.route.tried == nil {
		p.route.tried = map[string]bool{}
	}
	p.route.tried[p.intake.node] = true
	list := p.candidates(at.Owner, now)
	if i := placement.Choose(list); i >= 0 && !list[i].Self {
		return source{node: list[i].ID, shield: true, reason: "the shield before it was silent"}, true
	}
	return source{node: at.Owner, reason: "the shields were silent"}, !p.route.tried[at.Owner]
}
