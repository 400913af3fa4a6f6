package consensus

import (
	"context"
	"log/slog"
	"sync"

	"tmms/cluster/state"
	"tmms/media"
)

// relieving are the streams whose owners were asked to give them away for the sake of
// balance.
type relieving struct {
	mu    sync.Mutex
	asked map[media.StreamKey]uint64 // epochs
}

// add notes a stream that is asked for, unless it is already.
func (r *relieving) add(c state.Move) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := media.StreamKey(c.Key)
	if _, asked := r.asked[key]; asked {
		return false
	}
	if r.asked == nil {
		r.asked = map[media.StreamKey]uint64{}
	}
	r.asked[key] = c.Epoch
	return true
}

func (r *relieving) remove(c state.Move) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.asked, media.StreamKey(c.Key))
}

// has reports whether a move is one that was asked for.
func (r *relieving) has(c state.Move) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	epoch, asked := r.asked[media.StreamKey(c.Key)]
	return asked && epoch == c.Epoch
}

// relieve has the owners of streams give them to their standbys. Who can't, or does
// not know how, loses them as after a verdict that was wrong: it learns of it from the
// placement. It does not wait for them.
func (l *leadership) relieve(ctx context.Context, moves []state.Move) {
	for _, c := range moves {
		p, placed := l.node.Placement(media.StreamKey(c.Key))
		if !placed || p.Epoch != c.Epoch || !l.relieved.add(c) {
			continue
		}
		l.node.log.Info("a stream goes to its standby, which has less to do",
			slog.String("stream", media.StreamKey(c.Key).String()), slog.String("node", c.To))
		l.giving.Go(func() {
			defer l.relieved.remove(c)
			if err := l.give(ctx, p.Owner, c); err != nil {
				l.logFault(ctx, err)
			}
		})
	}
}

// give asks the owner of a stream to give it away, and moves it if that fails.
func (l *leadership) give(ctx context.Context, owner string, c state.Move) error {
	if ask := l.node.giveAway; ask != nil {
		err := ask(ctx, owner, media.StreamKey(c.Key), c.Epoch)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err // the next leader goes on
		}
		l.node.log.Info("a stream is moved without its owner, who did not give it away",
			slog.String("stream", media.StreamKey(c.Key).String()), slog.Any("err", err))
	}
	moved, err := l.all([]state.Command{c}) // none, if the owner was not heard but did it
	l.node.verdicts.moved(byBalance, moved)
	return err
}
