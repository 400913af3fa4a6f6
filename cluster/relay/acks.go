package relay

import (
	"context"
	"sync"
	"time"

	"tmms/media"
	"tmms/media/relaywire"
)

// acks sends what this node, as the standby of streams, has of them, to the owner at
// the other end of a session: that of packets at a pace, that of an index at once,
// since the owner's readers wait for it. It is safe for concurrent use.
type acks struct {
	now   chan struct{} // holds one: some are urgent
	later chan struct{} // holds one: some have a turn at the next tick

	mu     sync.Mutex
	urgent []*intake // guarded by mu
	paced  []*intake // guarded by mu
}

// ackDue is what a subscription owes. Owned by pull.mu.
type ackDue struct {
	urgent, paced bool
	sent          relaywire.Ack // the last one
}

func newAcks() *acks {
	return &acks{now: make(chan struct{}, 1), later: make(chan struct{}, 1)}
}

// add puts a subscription on a list, on which it is not.
func (a *acks) add(in *intake, urgent bool) {
	list, signal := &a.paced, a.later
	if urgent {
		list, signal = &a.urgent, a.now
	}
	a.mu.Lock()
	*list = append(*list, in)
	a.mu.Unlock()
	select {
	case signal <- struct{}{}:
	default:
	}
}

// take gives a list and empties it.
func (a *acks) take(list *[]*intake) []*intake {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := *list
	*list = nil
	return all
}

// run sends until ctx ends. Without a standby it sleeps.
func (a *acks) run(ctx context.Context) {
	tick := time.NewTimer(0)
	defer tick.Stop()
	<-tick.C
	armed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.now:
			for _, in := range a.take(&a.urgent) {
				in.acknowledge(true)
			}
		case <-a.later:
			if !armed {
				armed = true
				tick.Reset(media.StandbyAckPause)
			}
		case <-tick.C:
			armed = false
			for _, in := range a.take(&a.paced) {
				in.acknowledge(false)
			}
		}
	}
}

// standsBy tells that the source is to be told that this node is the standby: it is
// the owner, and speaks a version that has standbys. It has a session; pull.mu is held.
func (in *intake) standsBy() bool {
	return in.pull.standby && !in.shield && in.link.agreed.version() >= relaywire.V2
}

// dueAck notes that there is something to acknowledge. pull.mu is held.
func (in *intake) dueAck(urgent bool) {
	owed := &in.due.paced
	if urgent {
		owed = &in.due.urgent
	}
	if in.standby && !*owed {
		*owed = true
		in.link.acks.add(in, urgent)
	}
}

// acknowledge tells the owner what is here, if that is news.
func (in *intake) acknowledge(urgent bool) {
	p := in.pull
	p.mu.Lock()
	if urgent {
		in.due.urgent = false
	} else {
		in.due.paced = false
	}
	a := relaywire.Ack{ID: p.seen.ID, DTS: p.seen.DTS}
	if x := p.shelf.shown; x != nil && p.resumes(x) {
		a.IndexEpoch, a.IndexVersion = x.Epoch, x.Version
	}
	control := in.control
	needless := !in.standby || in.err != nil || control == nil || a == in.due.sent
	if !needless {
		in.due.sent = a
	}
	p.mu.Unlock()
	if needless {
		return
	}
	if err := in.write(control, relaywire.AppendMessage(nil, a)); err != nil {
		in.fail(err)
	}
}
