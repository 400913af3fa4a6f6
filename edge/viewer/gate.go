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

// Drain lets nobody in from now on.
func (g *Gate) Drain() { g.draining.Store(true) }

// Draining tells that Drain was called.
func (g *Gate) Draining() bool { return g.draining.Load() }

// Ended counts the end of a connection.
func (g *Gate) Ended(cause error) { g.ended[ReasonOf(cause)].Add(1) }

// EndedBy is how many connections ended for a reason.
func (g *Gate) EndedBy(r Reason) int64 {
	if r >= NumReasons {
		return 0
	}
	return g.ended[r].Load()
}
