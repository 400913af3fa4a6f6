package consensus

import (
	"log/slog"
	"time"

	"tmms/cluster/duties"
	"tmms/cluster/state"
	"tmms/media"
)

// balance relieves origins that have too much to do, see [duties.Duties.Balance]. The
// former owner learns of it from the placement, as after a verdict that was wrong.
func (l *leadership) balance(now time.Time) error {
	if l.node.cfg.NoBalance {
		return nil
	}
	var moves []state.Move
	var choices []state.SetStandby
	l.decide(now, func(m duties.Moment) { moves, choices = l.duties.Balance(m) })
	commands := make([]state.Command, 0, len(moves)+len(choices))
	for _, c := range moves {
		commands = append(commands, c)
	}
	moved, err := l.all(commands)
	l.node.verdicts.moved(byBalance, moved)
	for _, c := range moves {
		l.node.log.Info("a stream goes to its standby, which has less to do",
			slog.String("stream", media.StreamKey(c.Key).String()), slog.String("node", c.To))
	}
	if err != nil {
		return err
	}
	commands = commands[:0]
	for _, c := range choices {
		l.node.log.Info("a stream gets another standby, which has less to do",
			slog.String("stream", media.StreamKey(c.Key).String()), slog.String("node", c.To))
		commands = append(commands, c)
	}
	_, err = l.all(commands)
	return err
}
