package duties

import (
	"slices"

	"tmms/cluster/state"
	"tmms/media"
)

// Heir is the move that comes before a claim: an orphan whose standby is in sync, and
// lives, goes there and to nobody else, who would not have its history; the claim
// is then refused and its publisher passed on. false: nobody has more of it.
func Heir(m Moment, c state.Claim) (move state.Move, ok bool) {
	p, placed := m.View.Placement(media.StreamKey(c.Key))
	if !placed || !p.Orphan() || p.Standby == c.Node || !m.mayInherit(p) {
		return move, false
	}
	return state.Move{Key: c.Key, Epoch: p.Epoch, To: p.Standby, AtUnixMS: m.AtUnixMS}, true
}

// mayInherit reports whether a stream's standby can go on with it now.
func (m *Moment) mayInherit(p state.Placement) bool {
	return p.InSync && !m.View.Draining(p.Standby) && m.sound(p.Standby)
}

// Farewell is what becomes of the streams of a node that gives them up itself: those
// whose standby is in doubt wait for it, or for a claim.
func Farewell(m Moment, c state.FailOver) state.FailOver {
	c.Except = nil
	m.View.RangePlacements(func(_ media.StreamKey, p state.Placement) bool {
		if (p.Owner == c.Node || p.Orphan() && p.LostBy == c.Node) && p.InSync && !m.mayInherit(p) {
			c.Except = append(c.Except, p.Standby)
		}
		return true
	})
	slices.Sort(c.Except)
	c.Except = slices.Compact(c.Except)
	return c
}
