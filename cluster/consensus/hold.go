package consensus

import (
	"context"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// holdLook is how often it is looked whether a held claim may go on.
const holdLook = 20 * time.Millisecond

// hold makes a claim against a stream whose owner is suspect wait until that is
// heard again, or is dead and has lost the stream, [media.MaxClaimHold] at most; then
// the claim is decided like any other. So does one of an orphan whose standby in sync
// is suspect. Only so many are held: the others are decided at once.
func (n *Node) hold(ctx context.Context, c state.Command) {
	claim, ok := c.(state.Claim)
	if !ok || !n.undecided(claim) {
		return
	}
	defer n.held.Add(-1)
	if n.held.Add(1) > media.MaxHeldClaims {
		return
	}
	end := time.NewTimer(media.MaxClaimHold)
	defer end.Stop()
	look := time.NewTicker(holdLook)
	defer look.Stop()
	for n.undecided(claim) {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-look.C:
		}
	}
}

// undecided reports whether another node owns the stream, or would inherit it, and
// may be found dead soon. A leader that has not begun its duties yet can't tell.
func (n *Node) undecided(c state.Claim) bool {
	p, placed := n.Placement(media.StreamKey(c.Key))
	id := p.Owner
	if p.Orphan() && p.InSync {
		id = p.Standby
	}
	if !placed || id == "" || id == c.Node {
		return false
	}
	l := n.leading.Load()
	if l == nil {
		return n.IsLeader()
	}
	now := time.Now()
	if p.Orphan() && !l.alive(id, now) {
		return false // nobody has more of the stream
	}
	return l.suspect(id, now)
}
