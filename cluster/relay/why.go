package relay

import (
	"log/slog"
	"time"

	"tmms/cluster/placement"
	"tmms/media"
)

// PullInfo says where a node gets a stream from, and why from there.
type PullInfo struct {
	Key   media.StreamKey
	State string // "connecting", "live", "grace" or "waiting"
	Owner string // node id, as the placement has it; "" has lost its owner
	Epoch uint64 // of the placement

	Source string // node id that the stream is subscribed at; "" at none
	Shield bool   // Source gives it as a shield, not as the owner
	Hops   int    // sessions between the owner and this node: 1 direct, 2 over a shield; 0 without a source
	Reason string // why it is Source
	Next   string // node id that a hedge or a move is tried at; "" at none

	// Candidates are the nodes that could be asked, in the order of choice, the
	// owner last.
	Candidates []Candidate
	// Subscriptions counts the nodes that this one gives the stream to as a shield.
	Subscriptions int

	Lag     time.Duration // of the last sample, from the owner's stamp to arrival, by both nodes' clocks
	Resets  int           // subscriptions that were interrupted
	Hedges  int           // second subscriptions because the first was silent
	Moves   int           // changes of the source without an interruption
	Error   string        // why the last subscription was interrupted; "" none was
	ErrorAt time.Time
}

// Candidate is a node that a pull could subscribe at.
type Candidate struct {
	Node    string        // id
	Self    bool          // this node: a pull at the owner
	Owner   bool          // the stream's owner
	RTT     time.Duration // 0: not known
	Loss    float64       // of what was sent to it, 0 to 1
	Load    int           // 0 idle to 255 full
	Verdict string        // "ok", or why it is passed over
}

// told is what a pull keeps for operators.
type told struct {
	from, next            source
	resets, hedges, moves int
	err                   error
	errAt                 time.Time
}

// tell notes something for operators.
func (p *pull) tell(note func(*told)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	note(&p.told)
}

// interrupted notes that a subscription did not end as it should.
func (p *pull) interrupted(in *intake, err error, now time.Time) {
	p.tell(func(t *told) { t.resets, t.err, t.errAt = t.resets+1, err, now })
	p.puller.log.Info("pull interrupted", slog.String("stream", p.feed.key.String()), slog.String("node", in.node),
		slog.Bool("shield", in.shield), slog.Uint64("epoch", in.epoch), slog.Any("err", err))
}

// Why tells of the pull of a stream; false: this node does not pull it.
func (p *Puller) Why(key media.StreamKey) (PullInfo, bool) {
	p.mu.Lock()
	pl := p.pulls.Get(key)
	if pl == nil {
		p.mu.Unlock()
		return PullInfo{}, false
	}
	at := pl.placement
	p.mu.Unlock()
	info := PullInfo{
		Key: key, State: phaseName(pl.phase.Load()), Owner: at.Owner, Epoch: at.Epoch,
		Candidates: p.weigh(key, at.Owner), Subscriptions: pl.feed.given(),
	}
	pl.mu.Lock()
	defer pl.mu.Unlock()
	t := pl.told
	info.Source, info.Shield, info.Reason, info.Next = t.from.node, t.from.shield, t.from.reason, t.next.node
	info.Lag, info.Resets, info.Hedges, info.Moves, info.ErrorAt = pl.lag, t.resets, t.hedges, t.moves, t.errAt
	if t.err != nil {
		info.Error = t.err.Error()
	}
	switch {
	case t.from.shield:
		info.Hops = 2
	case t.from.node != "":
		info.Hops = 1
	}
	return info, true
}

// weigh lists the candidates as a pull would see them now, and the owner.
func (p *Puller) weigh(key media.StreamKey, owner string) (list []Candidate) {
	r, now := p.region.Load(), time.Now()
	if r == nil {
		r = &region{}
	}
	for _, id := range r.order(key, owner) {
		self := id == p.cluster.ID()
		c := placement.Candidate{
			ID: id, Self: self, Verdict: r.verdict(id, owner), Barred: !self && p.faults.barred(id, now),
		}
		list = append(list, r.describe(c.ID, verdict(c)))
		list[len(list)-1].Self = self
	}
	if owner != "" {
		list = append(list, r.describe(owner, placement.Fit.String()))
		list[len(list)-1].Owner = true
	}
	return list
}

func (r *region) describe(id, verdict string) Candidate {
	path := r.paths[id]
	return Candidate{Node: id, RTT: path.RTT, Loss: path.Loss, Load: int(path.Load), Verdict: verdict}
}
