package consensus

import (
	"log/slog"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

type orphanSeen struct {
	epoch uint64
	since time.Time
}

// dropOrphans releases streams whose publisher did not come back to any node
// within the app's grace. The grace is counted by this leader's own clock.
func (l *leadership) dropOrphans(now time.Time) error {
	seen := map[media.StreamKey]orphanSeen{}
	var due []state.Orphan
	for _, p := range l.node.Orphans() {
		o, known := l.orphans[p.Key]
		if !known || o.epoch != p.Epoch {
			o = orphanSeen{epoch: p.Epoch, since: now}
		}
		seen[p.Key] = o
		if now.Sub(o.since) >= l.grace(p.Key) && len(due) < state.MaxDrop {
			due = append(due, state.Orphan{Key: state.Key(p.Key), Epoch: p.Epoch})
		}
	}
	l.orphans = seen
	if len(due) == 0 {
		return nil
	}
	if err := l.node.command(l.raft, state.DropOrphans{Orphans: due}); err != nil {
		return err
	}
	l.node.log.Info("streams without an owner were released", slog.Int("streams", len(due)))
	return nil
}

// grace is how long an orphan waits; not at all if its app is gone.
func (l *leadership) grace(key media.StreamKey) time.Duration {
	d, err := l.node.Config().Domain(key.Domain)
	if err != nil {
		return 0
	}
	app, err := d.App(key.App)
	if err != nil {
		return 0
	}
	return app.Grace
}
