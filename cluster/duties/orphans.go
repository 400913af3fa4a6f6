package duties

import (
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// orphan is since when a stream is one, by the leader's own clock.
type orphan struct {
	epoch uint64
	since time.Duration
}

// Drop releases streams whose publisher did not come back to any node within the
// app's grace; false: there are none. The grace is counted by this leader's own clock.
func (d *Duties) Drop(m Moment) (c state.DropOrphans, due bool) {
	seen := map[media.StreamKey]orphan{}
	for _, p := range m.View.Orphans() {
		o, known := d.orphans[p.Key]
		if !known || o.epoch != p.Epoch {
			o = orphan{epoch: p.Epoch, since: m.Now}
		}
		seen[p.Key] = o
		if m.Now-o.since >= m.grace(p.Key) && len(c.Orphans) < state.MaxDrop {
			c.Orphans = append(c.Orphans, state.Orphan{Key: state.Key(p.Key), Epoch: p.Epoch})
		}
	}
	d.orphans = seen
	return c, len(c.Orphans) > 0
}

// grace is how long an orphan waits; not at all if its app is gone.
func (m *Moment) grace(key media.StreamKey) time.Duration {
	domain, err := m.View.Config().Domain(key.Domain)
	if err != nil {
		return 0
	}
	app, err := domain.App(key.App)
	if err != nil {
		return 0
	}
	return app.Grace
}

// Revive gives orphans whose standby is in sync to it, once that is there again: it
// was thought dead when their owner was.
func (d *Duties) Revive(m Moment) (moves []state.Move) {
	for _, p := range m.View.Orphans() {
		if len(moves) < media.MaxStandbyChoices && m.mayInherit(p.Placement) {
			moves = append(moves, state.Move{
				Key: state.Key(p.Key), Epoch: p.Epoch, To: p.Standby, AtUnixMS: m.AtUnixMS,
			})
		}
	}
	return moves
}
