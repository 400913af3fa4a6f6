package viewer

import (
	"fmt"
	"sync/atomic"
)

// Gate counts the viewers of a node and bounds them, and counts why
// connections end. It is safe for concurrent use.
type Gate struct {
	max      int64
	viewers  atomic.Int64
	ended    [NumReasons]atomic.Int64
	draining atomic.Bool

	diverting atomic.Bool
	diverted  atomic.Int64
}

// NewGate returns a gate for at most limit streaming viewers; 0 is no bound.
func NewGate(limit int) *Gate { return &Gate{max: int64(limit)} }

// Enter counts a viewer in; it is refused with [ErrFull] over the limit and
// with [ErrDraining] while the node drains. Each Enter needs one Leave.
func (g *Gate) Enter() error {
	if g.draining.Load() {
		return ErrDraining
	}
	if n := g.viewers.Add(1); g.max > 0 && n > g.max {
		g.viewers.Add(-1)
		return fmt.Errorf("%w: the limit is %d", ErrFull, g.max)
	}
	return nil
}

// Leave counts a viewer out.
func (g *Gate) Leave() { g.viewers.Add(-1) }

// Viewers is the number of viewers inside.
func (g *Gate) Viewers() int64 { return g.viewers.Load() }

// Limit is how many viewers may be inside; 0: no bound.
func (g *Gate) Limit() int64 { return g.max }

// Full tells that Enter refuses for want of room.
func (g *Gate) Full() bool { return g.max > 0 && g.viewers.Load() >= g.max }

// Filled is how much of the room is taken, 0 to 1; 0 without a bound.
func (g *Gate) Filled() float64 {
	if g.max <= 0 {
		return 0
	}
	return min(1, float64(g.viewers.Load())/float64(g.max))
}

// Drain lets nobody in from now on.
func (g *Gate) Drain() { g.draining.Store(true) }

// Draining tells that Drain was called.
func (g *Gate) Draining() bool { return g.draining.Load() }

// Divert says whether viewers who come are to be sent to other nodes, where one is
// known and they can follow; those who can't are let in.
func (g *Gate) Divert(on bool) { g.diverting.Store(on) }

// Diverting tells what Divert has said.
func (g *Gate) Diverting() bool { return g.diverting.Load() }

// SentElsewhere counts a viewer who was sent, or asked to go, to another node.
func (g *Gate) SentElsewhere() { g.diverted.Add(1) }

// Diverted is how many viewers were sent, or asked to go, to other nodes.
func (g *Gate) Diverted() int64 { return g.diverted.Load() }

// Ended counts the end of a connection.
func (g *Gate) Ended(cause error) { g.ended[ReasonOf(cause)].Add(1) }

// EndedBy is how many connections ended for a reason.
func (g *Gate) EndedBy(r Reason) int64 {
	if r >= NumReasons {
		return 0
	}
	return g.ended[r].Load()
}
