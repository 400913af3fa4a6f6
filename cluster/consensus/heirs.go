package consensus

import (
	"log/slog"
	"time"

	"tmms/cluster/duties"
	"tmms/cluster/state"
	"tmms/media"
)

// completed gives a command with what the leader alone can say: to whom the streams
// of a node that gives them up must not go. The error is [ErrNotLeader] while nobody
// can say that.
func (n *Node) completed(c state.Command) (state.Command, error) {
	farewell, ok := c.(state.FailOver)
	if !ok {
		return c, nil
	}
	l := n.leads()
	if l == nil {
		return nil, ErrNotLeader
	}
	l.decide(time.Now(), func(m duties.Moment) { farewell = duties.Farewell(m, farewell) })
	return farewell, nil
}

// endow gives an orphan to its standby in sync before another node's claim is decided,
// which is refused then, see [duties.Heir].
func (n *Node) endow(c state.Command) error {
	claim, ok := c.(state.Claim)
	l := n.leads()
	if !ok || l == nil {
		return nil
	}
	var move state.Move
	l.decide(time.Now(), func(m duties.Moment) { move, ok = duties.Heir(m, claim) })
	if !ok {
		return nil
	}
	n.log.Info("an orphan goes to its standby before it is claimed",
		slog.String("stream", media.StreamKey(move.Key).String()), slog.String("node", move.To),
		slog.String("claimed_by", claim.Node))
	moved, err := l.all([]state.Command{move})
	n.verdicts.moved(byReturn, moved)
	return err
}
