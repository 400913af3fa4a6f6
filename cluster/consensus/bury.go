package consensus

import (
	"log/slog"
	"time"

	"tmms/cluster/duties"
	"tmms/cluster/state"
	"tmms/cluster/verdict"
)

// decide gives what is decided from now; the court is held meanwhile.
func (l *leadership) decide(now time.Time, do func(duties.Moment)) {
	var busy map[string]Busy
	if l.node.busy != nil {
		busy = l.node.busy()
	}
	l.court.with(now, func(v *verdict.Court, at time.Duration) {
		do(duties.Moment{View: l.node.View, Court: v, Busy: busy, Now: at, AtUnixMS: l.node.now().UnixMilli()})
	})
}

// bury takes the streams of dead nodes from them, see [duties.Bury].
func (l *leadership) bury(now time.Time) error {
	var dead []duties.Death
	l.decide(now, func(m duties.Moment) { dead = duties.Bury(m) })
	for _, d := range dead {
		result, err := l.node.commandResult(l.raft, d.Command)
		if err != nil {
			return err
		}
		moved, lost := 0, 0
		switch r := result.(type) {
		case state.FailOverResult:
			moved, lost = r.Moved, r.Lost
		case state.ExpireResult:
			lost = r.Lost
		}
		l.node.verdicts.died(d.Path)
		l.node.verdicts.moved(byDeath, moved)
		l.node.log.Warn("a node is dead, its streams go to their standbys or wait for another owner",
			slog.String("node", d.Node), slog.String("found_by", string(d.Path)), slog.Duration("silent", d.Silent),
			slog.Int("moved", moved), slog.Int("lost", lost))
	}
	return nil
}

// dropOrphans releases streams that nobody came back for, see [duties.Duties.Drop].
func (l *leadership) dropOrphans(now time.Time) error {
	var c state.DropOrphans
	var due bool
	l.decide(now, func(m duties.Moment) { c, due = l.duties.Drop(m) })
	if !due {
		return nil
	}
	if err := l.node.command(l.raft, c); err != nil {
		return err
	}
	l.node.log.Info("streams without an owner were released", slog.Int("streams", len(c.Orphans)))
	return nil
}
