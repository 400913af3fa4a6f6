package consensus

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tmms/cluster/duties"
	"tmms/cluster/fabric"
	"tmms/cluster/state"
	"tmms/cluster/verdict"
	"tmms/media"
)

// Witnesses tell what came from other nodes over the fabric, to this node and to
// the others: what the deaths of origins are found by within seconds. Without them
// there are only the leases.
type Witnesses interface {
	// Heard gives when something last came from an origin of that name, as
	// [fabric.Fabric.Heard] does; false: nothing ever did.
	Heard(name string) (at time.Time, silent time.Duration, ok bool)
	// Seen asks a node what it has heard of others, by their ids.
	Seen(ctx context.Context, to fabric.Target, about []string) (map[string]verdict.Report, error)
}

const (
	// courtTick is how often the leader judges.
	courtTick = 100 * time.Millisecond
	// rosterTick is how often it looks who the origins are.
	rosterTick = time.Second
	// roundPause is between two rounds of questions, and roundTimeout how long
	// answers are waited for: all of a round count at once, for a veto to come no
	// later than what it is against.
	roundPause   = 200 * time.Millisecond // none while there are edges that were not asked
	roundTimeout = 400 * time.Millisecond
)

// inquiry asks other nodes about those that are in doubt, one round at a time. It
// belongs to the goroutine of watchNodes.
type inquiry struct {
	origins []state.Node
	looked  time.Time
	asked   time.Time
	done    chan struct{} // closed when the round has ended; nil: there was none
}

// watchNodes judges, until ctx ends. It never waits: for no other node and no disk.
func (l *leadership) watchNodes(ctx context.Context) {
	every := l.node.cfg.Lease / leaseTicks
	if !l.node.cfg.alone() { // else there is nobody to judge
		every = min(every, courtTick)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var rounds sync.WaitGroup
	defer rounds.Wait()
	q := &inquiry{}
	for {
		now := time.Now()
		l.renewal(l.node.ID(), l.node.Starting())
		l.court.with(now, func(v *verdict.Court, at time.Duration) { v.Tick(at) })
		l.listen(q, now)
		l.inquire(ctx, q, &rounds, now)
		l.call(now)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// listen tells the court what this node has heard.
func (l *leadership) listen(q *inquiry, now time.Time) {
	w := l.node.witnesses
	if w == nil {
		return
	}
	if now.Sub(q.looked) >= rosterTick {
		q.looked = now
		q.origins = slices.DeleteFunc(l.node.Nodes(), func(n state.Node) bool { return !duties.IsOrigin(n) })
	}
	l.court.with(now, func(v *verdict.Court, _ time.Duration) {
		for _, n := range q.origins {
			if at, _, ok := w.Heard(n.Name); ok && n.ID != l.node.ID() {
				v.Heard(n.ID, at.Sub(l.court.base))
			}
		}
	})
}

// inquire begins a round if there is somebody in doubt who holds a stream.
func (l *leadership) inquire(ctx context.Context, q *inquiry, rounds *sync.WaitGroup, now time.Time) {
	if l.node.witnesses == nil {
		return
	}
	if q.done != nil {
		select {
		case <-q.done:
		default:
			return
		}
	}
	about := l.about(now)
	if len(about) == 0 {
		return
	}
	circling := false
	l.court.with(now, func(v *verdict.Court, _ time.Duration) { circling = v.Circling(about) })
	if !circling && now.Sub(q.asked) < roundPause {
		return
	}
	q.asked = now
	whom, done := l.whom(about, now), make(chan struct{})
	q.done = done
	rounds.Go(func() {
		defer close(done)
		l.round(ctx, whom, about)
	})
}

// about are the nodes in doubt that hold a stream: others are asked about them.
func (l *leadership) about(now time.Time) (about []string) {
	l.court.with(now, func(v *verdict.Court, at time.Duration) { about = v.Doubts(at) })
	if len(about) == 0 {
		return nil
	}
	holders := duties.Holders(l.node.View)
	about = slices.DeleteFunc(about, func(id string) bool { return !holders[id] })
	return about[:min(len(about), media.MaxSeen)]
}

// whom gives the nodes to ask: the other origins, and those edges whose turn it is,
// which may have media from those in doubt.
func (l *leadership) whom(about []string, now time.Time) (whom []state.Node) {
	edges, ids := map[string]state.Node{}, []string(nil)
	for _, n := range l.node.Nodes() {
		switch {
		case n.ID == l.node.ID() || slices.Contains(about, n.ID) || l.age(n.ID, now) > l.node.cfg.Lease/2:
		case duties.IsOrigin(n):
			whom = append(whom, n)
		default:
			edges[n.ID] = n
			ids = append(ids, n.ID) // in order, as the nodes are
		}
	}
	rand.Shuffle(len(whom), func(i, j int) { whom[i], whom[j] = whom[j], whom[i] })
	whom = whom[:min(len(whom), media.MaxWitnesses)]
	l.court.with(now, func(v *verdict.Court, at time.Duration) { ids = v.Round(about, ids, at) })
	for _, id := range ids {
		whom = append(whom, edges[id])
	}
	return whom
}

// round asks all of whom, so many at a time, and takes their answers to court together.
// Whoever had no turn before the round's end is asked in the next one.
func (l *leadership) round(ctx context.Context, whom []state.Node, about []string) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	answers := make([]answered, len(whom))
	var asking sync.WaitGroup
	var next atomic.Int64
	for range min(len(whom), media.MaxAsking) {
		asking.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(whom)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				answers[i] = l.seen(ctx, whom[i], about)
			}
		})
	}
	asking.Wait()
	now := time.Now()
	l.court.with(now, func(v *verdict.Court, at time.Duration) {
		for i, n := range whom {
			for id, r := range answers[i].reports {
				v.Report(n.ID, id, r, at)
			}
			if answers[i].asked {
				v.Asked(n.ID, about, answers[i].err == nil)
			}
		}
	})
	l.call(now)
}

// answered is what has come of a question.
type answered struct {
	reports map[string]verdict.Report
	asked   bool
	err     error
}

// seen asks a node.
func (l *leadership) seen(ctx context.Context, n state.Node, about []string) (a answered) {
	to := fabric.Target{Name: n.Name, Addr: n.Addresses[fabricAddress]}
	a.asked = true
	a.reports, a.err = l.node.witnesses.Seen(ctx, to, about)
	return a
}

// call wakes run if others are dead than before; it looks for what it has left by
// itself.
func (l *leadership) call(now time.Time) {
	anew := false
	l.court.with(now, func(v *verdict.Court, at time.Duration) {
		dead := v.Dead(at)
		anew = len(dead) > 0 && !slices.Equal(dead, l.court.dead)
		l.court.dead = dead
	})
	if !anew {
		return
	}
	select {
	case l.deaths <- struct{}{}:
	default:
	}
}
