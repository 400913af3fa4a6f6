package duties

import (
	"maps"
	"slices"
	"time"

	"tmms/cluster/state"
	"tmms/cluster/verdict"
	"tmms/media"
)

// Death is a node that holds streams and was found dead.
type Death struct {
	Node    string
	Path    verdict.Path
	Silent  time.Duration // for how long nothing came from it, or its lease was not renewed
	Command state.Command // takes its streams from it
}

// Bury takes the streams of dead nodes from them: those with a standby in sync that
// lives, and has not started anew since it was in sync, go to it, the others wait for a
// claim. What a node claims from here on is a sign of life, and is left to it.
func Bury(m Moment) []Death {
	var dead []Death
	for _, id := range slices.Sorted(maps.Keys(Holders(m.View))) {
		path := m.Court.Verdict(id, m.Now)
		if path == verdict.Alive {
			continue
		}
		d := Death{Node: id, Path: path, Silent: m.Court.Silent(id, m.Now)}
		if path == verdict.ByLease {
			d.Silent = m.Court.Age(id, m.Now)
		}
		dead = append(dead, d)
	}
	for i := range dead {
		dead[i].Command = m.burial(dead[i].Node, dead)
	}
	return dead
}

// burial is the command that takes a dead node's streams from it.
func (m *Moment) burial(id string, all []Death) state.Command {
	if m.View.FeatureLevel() < levelStandbys {
		return state.ExpireNode{Node: id, MaxEpoch: m.View.Epoch(), AtUnixMS: m.AtUnixMS}
	}
	c := state.FailOver{Node: id, MaxEpoch: m.View.Epoch(), AtUnixMS: m.AtUnixMS}
	for _, other := range all {
		if other.Node != id {
			c.Except = append(c.Except, other.Node)
		}
	}
	for _, n := range m.View.Nodes() {
		if IsOrigin(n) && m.Court.Starting(n.ID) && n.ID != id && !slices.Contains(c.Except, n.ID) {
			c.Except = append(c.Except, n.ID)
		}
	}
	return c
}

// Holders are the nodes that own a stream or stand by for one.
func Holders(v View) map[string]bool {
	all := map[string]bool{}
	v.RangePlacements(func(_ media.StreamKey, p state.Placement) bool {
		all[p.Owner], all[p.Standby] = true, true
		return true
	})
	delete(all, "")
	return all
}
