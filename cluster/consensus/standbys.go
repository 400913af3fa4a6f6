package consensus

import (
	"errors"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"

	"tmms/cluster/duties"
	"tmms/cluster/state"
	"tmms/media"
)

// chooseStandbys gives standbys to streams, see [duties.Duties.Standbys]: all of them
// in one wait for the disks.
func (l *leadership) chooseStandbys(now time.Time) error {
	var commands []state.Command
	l.decide(now, func(m duties.Moment) {
		for _, c := range l.duties.Standbys(m) {
			commands = append(commands, c)
		}
	})
	_, err := l.all(commands)
	return err
}

// revive gives orphans to their standbys, see [duties.Duties.Revive].
func (l *leadership) revive(now time.Time) error {
	var moves []state.Move
	l.decide(now, func(m duties.Moment) { moves = l.duties.Revive(m) })
	commands := make([]state.Command, 0, len(moves))
	for _, c := range moves {
		commands = append(commands, c)
		l.node.log.Info("an orphan goes to its standby, which is there again",
			slog.String("stream", media.StreamKey(c.Key).String()), slog.String("node", c.To))
	}
	moved, err := l.all(commands)
	l.node.verdicts.moved(byReturn, moved)
	return err
}

// all replicates commands, and waits for them together. done is how many changed a
// placement: what is refused was decided otherwise meanwhile.
func (l *leadership) all(commands []state.Command) (done int, err error) {
	futures := make([]raft.ApplyFuture, 0, len(commands))
	var faults []error
	for _, c := range commands {
		b, err := state.Encode(c)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		futures = append(futures, l.raft.Apply(b, l.node.cfg.ApplyTimeout))
	}
	for _, f := range futures {
		if fault := f.Error(); fault != nil {
			faults = append(faults, fault)
			continue
		}
		if _, placed := f.Response().(state.Placement); placed {
			done++
		}
	}
	return done, errors.Join(faults...)
}
