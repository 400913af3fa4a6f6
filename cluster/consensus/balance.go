package consensus

import (
	"context"
	"log/slog"
	"time"

	"tmms/cluster/duties"
	"tmms/cluster/state"
	"tmms/media"
)

// balance relieves origins that have too much to do, see [duties.Duties.Balance].
func (l *leadership) balance(ctx context.Context, now time.Time) error {
	if l.node.cfg.NoBalance {
		return nil
	}
	var moves []state.Move
	var choices []state.SetStandby
	l.decide(now, func(m duties.Moment) { moves, choices = l.duties.Balance(m) })
	l.relieve(ctx, moves)
	commands := make([]state.Command, 0, len(choices))
	for _, c := range choices {
		l.node.log.Info("a stream gets another standby, which has less to do",
			slog.String("stream", media.StreamKey(c.Key).String()), slog.String("node", c.To))
		commands = append(commands, c)
	}
	_, err := l.all(commands)
	return err
}
