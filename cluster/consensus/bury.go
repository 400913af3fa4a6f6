package consensus

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"tmms/cluster/state"
	"tmms/cluster/verdict"
)

// levelStandbys is the feature level from which on there are standbys.
const levelStandbys = 1

// death is a node that holds streams and was found dead.
type death struct {
	id     string
	path   verdict.Path
	silent time.Duration
}

// bury takes the streams of dead nodes from them: those with a standby in sync that
// lives go to it, the others wait for a claim.
func (l *leadership) bury(now time.Time) error {
	epoch := l.node.Epoch() // claims from here on are signs of life
	dead := l.dead(now)
	for _, d := range dead {
		result, err := l.node.commandResult(l.raft, l.burial(d, dead, epoch))
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
		l.node.verdicts.died(d.path)
		l.node.log.Warn("a node is dead, its streams go to their standbys or wait for another owner",
			slog.String("node", d.id), slog.String("found_by", string(d.path)), slog.Duration("silent", d.silent),
			slog.Int("moved", moved), slog.Int("lost", lost))
	}
	return nil
}

// dead are the nodes that hold a stream and are found dead.
func (l *leadership) dead(now time.Time) (dead []death) {
	for _, id := range slices.Sorted(maps.Keys(l.holders())) {
		if path, silent := l.verdict(id, now); path != verdict.Alive {
			dead = append(dead, death{id, path, silent})
		}
	}
	return dead
}

// burial is the command that takes a dead node's streams from it.
func (l *leadership) burial(d death, all []death, epoch uint64) state.Command {
	at := l.node.now().UnixMilli()
	if l.node.FeatureLevel() < levelStandbys {
		return state.ExpireNode{Node: d.id, MaxEpoch: epoch, AtUnixMS: at}
	}
	c := state.FailOver{Node: d.id, MaxEpoch: epoch, AtUnixMS: at}
	for _, other := range all {
		if other.id != d.id {
			c.Except = append(c.Except, other.id)
		}
	}
	return c
}
