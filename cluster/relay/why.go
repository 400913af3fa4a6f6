package relay

import (
	"time"

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

// Why tells of the pull of a stream; false: this node does not pull it.
func (p *Puller) Why(key media.StreamKey) (PullInfo, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl := p.pulls.Get(key)
	if pl == nil {
		return PullInfo{}, false
	}
	info := PullInfo{
		Key: key, State: phaseName(pl.phase.Load()), Owner: pl.placement.Owner, Epoch: pl.placement.Epoch,
	}
	return info, true
}
