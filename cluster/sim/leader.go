package sim

import (
	"cmp"
	"slices"
	"time"

	"tmms/cluster/duties"
	"tmms/cluster/state"
	"tmms/cluster/verdict"
	"tmms/media"
)

// How often the leader looks, as package consensus does.
const (
	courtTick    = 100 * time.Millisecond
	dutyTick     = leaseTerm / 20
	roundPause   = 200 * time.Millisecond
	roundTimeout = 400 * time.Millisecond
	// roundEdges is how many edges are asked in a round: fewer than there are in the
	// larger clusters.
	roundEdges = 64
)

// leadership is what a voter keeps while it leads.
type leadership struct {
	n      *node
	court  Court
	duties *duties.Duties
	dead   []string
	asking bool
	busy   int // commands of the leader's own that are on their way

	starting map[string]bool // who has last said so
}

// beginLead begins the duties, with what was heard as a follower.
func (n *node) beginLead() {
	cfg := verdict.Config{Self: n.id, Term: leaseTerm, RoundEdges: roundEdges}
	l := &leadership{n: n, court: n.w.rules.Court(cfg, n.w.now), duties: duties.New(0), starting: map[string]bool{}}
	for i, at := range n.heard {
		if at > 0 && i != n.index {
			l.court.Heard(n.w.nodes[i].id, at)
		}
	}
	n.lead = l
	if !n.view.Initialized() {
		l.command(state.Init{UnixSeconds: n.wallMS() / 1000, ClusterID: "sim"})
		l.command(state.SetConfig{AtUnixMS: n.wallMS(), By: "sim", Document: *document().Normalize()})
		l.command(state.RaiseLevel{Level: state.Level})
	}
	l.repeat(courtTick, l.judge)
	l.repeat(dutyTick, l.act)
}

// document is the config of the cluster.
func document() *state.Document {
	return &state.Document{Domains: []state.DomainDoc{{Name: domain, Apps: []state.AppDoc{{Name: app}}}}}
}

const domain, app = "default", "live"

func (n *node) endLead() {
	if n.lead != nil {
		n.w.trace("%s leads no more", n)
	}
	n.lead = nil
}

// sawFrom notes a sign of life.
func (n *node) sawFrom(from *node) {
	if n.lead != nil {
		n.lead.court.Heard(from.id, n.w.now)
	}
}

func (l *leadership) renewedBy(id string) { l.court.Renewed(id, l.n.w.now) }

// renewal is what a node says when it renews its lease.
func (l *leadership) renewal(id string, starting bool) {
	l.renewedBy(id)
	l.court.Starts(id, starting)
	l.starting[id] = starting
}

// repeat does something again and again while this node leads.
func (l *leadership) repeat(every time.Duration, do func()) {
	l.n.after(every, func() {
		if l.n.lead == l {
			do()
			l.repeat(every, do)
		}
	})
}

// command puts a command of the leader's own into the log.
func (l *leadership) command(c state.Command) {
	b, err := state.Encode(c)
	l.n.w.must(err)
	l.n.w.check.decides(l, c)
	l.busy++
	l.n.log.append(b, func(any, bool) { l.busy-- })
}

// judge looks who lives.
func (l *leadership) judge() {
	now := l.n.w.now
	l.renewal(l.n.id, !l.n.joined)
	l.court.Tick(now)
	l.inquire()
	l.call()
}

// call buries at once who was not dead before.
func (l *leadership) call() {
	var dead []string
	for _, id := range l.holders() {
		if l.court.Verdict(id, l.n.w.now) != verdict.Alive {
			dead = append(dead, id)
		}
	}
	anew := len(dead) > 0 && !slices.Equal(dead, l.dead)
	if l.dead = dead; anew && l.busy == 0 {
		l.bury(l.moment())
	}
}

func (l *leadership) holders() (ids []string) {
	all := duties.Holders(l.view())
	for _, n := range l.n.w.origins {
		if all[n.id] {
			ids = append(ids, n.id)
		}
	}
	return ids
}

func (l *leadership) view() duties.View { return ordered{l.n.view} }

func (l *leadership) moment() duties.Moment {
	busy := map[string]duties.Busy{}
	for _, n := range l.n.w.origins {
		busy[n.id] = duties.Busy{Load: n.load}
	}
	return duties.Moment{View: l.view(), Court: l.court, Busy: busy, Now: l.n.w.now, AtUnixMS: l.n.wallMS()}
}

// act does what is due, unless what was decided before is still on its way.
func (l *leadership) act() {
	if l.busy > 0 {
		return
	}
	m := l.moment()
	if l.bury(m) {
		return
	}
	for _, c := range l.duties.Revive(m) {
		l.command(c)
	}
	if c, due := l.duties.Drop(m); due {
		l.command(c)
	}
	if l.busy > 0 {
		return
	}
	for _, c := range l.duties.Standbys(m) {
		l.command(c)
	}
	if l.busy == 0 {
		l.balance(m)
	}
}

// balance relieves those who have too much to do, as gossip tells.
func (l *leadership) balance(m duties.Moment) {
	moves, choices := l.n.w.rules.Balance(l.duties, m)
	for _, c := range moves {
		l.n.w.check.relieves(c.Key, c.Epoch)
		l.command(c)
	}
	for _, c := range choices {
		l.n.w.check.relieves(c.Key, c.Epoch)
		l.command(c)
	}
}

func (l *leadership) bury(m duties.Moment) bool {
	deaths := duties.Bury(m)
	for _, d := range deaths {
		l.n.w.trace("%s finds %s dead by %s: %s", l.n, d.Node, d.Path, d.Silent)
		l.command(d.Command)
	}
	return len(deaths) > 0
}

// inquire asks others about those in doubt who hold streams, one round at a time.
func (l *leadership) inquire() {
	if l.asking {
		return
	}
	holders := l.holders()
	about := slices.DeleteFunc(l.court.Doubts(l.n.w.now), func(id string) bool { return !slices.Contains(holders, id) })
	if len(about) == 0 {
		return
	}
	l.asking = true
	l.n.after(roundPause, func() { l.asking = false })
	for _, to := range l.whom(about) {
		ask(l.n, to, roundTimeout, func(answer func(map[string]verdict.Report)) {
			answer(to.report(about))
		}, func(r map[string]verdict.Report, ok bool) {
			if l.n.lead == l {
				l.heard(to, about, r, ok)
			}
		})
	}
}

// whom are the other origins, and those edges whose turn it is.
func (l *leadership) whom(about []string) (list []*node) {
	var edges []string
	for _, to := range l.n.w.nodes {
		switch {
		case to == l.n || slices.Contains(about, to.id):
		case to.origin:
			list = append(list, to)
		case l.court.Age(to.id, l.n.w.now) <= leaseTerm/2:
			edges = append(edges, to.id)
		}
	}
	slices.Sort(edges)
	for _, id := range l.court.Round(about, edges, l.n.w.now) {
		list = append(list, l.n.w.byID[id])
	}
	return list
}

func (l *leadership) heard(from *node, about []string, r map[string]verdict.Report, answered bool) {
	for _, id := range about {
		if answered {
			l.court.Report(from.id, id, r[id], l.n.w.now)
			l.starting[from.id] = r[id].Starting
		}
	}
	l.court.Asked(from.id, about, answered)
	l.call()
}

// report is what a witness says.
func (n *node) report(about []string) map[string]verdict.Report {
	all := make(map[string]verdict.Report, len(about))
	for _, id := range about {
		i := n.w.byID[id].index
		r := verdict.Report{Known: n.heard[i] > 0, Silent: n.w.now - n.heard[i], Media: verdict.Never, Starting: !n.joined}
		if at := n.media[i]; at > 0 {
			r.Media = n.w.now - at
		}
		all[id] = r
	}
	return all
}

// ordered is a copy whose lists are in order: what is decided from them must be the
// same in every run.
type ordered struct{ Machine }

// RangePlacements implements [duties.View].
func (o ordered) RangePlacements(do func(key media.StreamKey, p state.Placement) bool) {
	for _, p := range o.Placements() {
		if !do(p.Key, p.Placement) {
			return
		}
	}
}

// Orphans implements [duties.View].
func (o ordered) Orphans() []state.PlacedStream {
	list := o.Machine.Orphans()
	slices.SortFunc(list, func(a, b state.PlacedStream) int { return cmp.Compare(a.Key.Stream, b.Key.Stream) })
	return list
}
