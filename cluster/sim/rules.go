package sim

import (
	"time"

	"tmms/cluster/duties"
	"tmms/cluster/state"
	"tmms/cluster/verdict"
	"tmms/media"
)

// Machine is what a node has of the replicated state: a *state.State.
type Machine interface {
	Apply(index uint64, command []byte) (any, error)
	Snapshot() ([]byte, error)
	Restore(snapshot []byte) error
	Index() uint64
	Initialized() bool
	Epoch() uint64
	Placement(key media.StreamKey) (state.Placement, bool)
	Placements() []state.PlacedStream
	Owners() []string
	Orphans() []state.PlacedStream
	Nodes() []state.Node
	Config() *state.Config
	Draining(node string) bool
	FeatureLevel() int
}

// Court is what the leader judges with: a *verdict.Court.
type Court interface {
	Tick(now time.Duration) (stood bool)
	Renewed(id string, now time.Duration) bool
	Heard(id string, at time.Duration)
	Round(about, edges []string, now time.Duration) (ask []string)
	Asked(edge string, about []string, answered bool)
	Report(from, about string, r verdict.Report, now time.Duration)
	Doubts(now time.Duration) []string
	Verdict(id string, now time.Duration) verdict.Path
	Silent(id string, now time.Duration) time.Duration
	Age(id string, now time.Duration) time.Duration
	Suspect(id string, now time.Duration) bool
	Starts(id string, is bool)
	Starting(id string) bool
}

// Rules are the parts that a test may replace by broken ones, to see that the
// simulation finds them out. The zero value has the real ones.
type Rules struct {
	Machine func() Machine
	Court   func(cfg verdict.Config, now time.Duration) Court
	// Heir is the move that comes before a claim, Farewell what becomes of the streams
	// of a node that gives them up.
	Heir     func(m duties.Moment, c state.Claim) (move state.Move, ok bool)
	Farewell func(m duties.Moment, c state.FailOver) state.FailOver
	// Disowns reports whether a process that starts has to give up, once more, what
	// the cluster has given to its node by now.
	Disowns func(n *node) bool
	// Balance is what relieves those who have too much to do.
	Balance func(d *duties.Duties, m duties.Moment) ([]state.Move, []state.SetStandby)
	// Majority is how many voters have to have an entry that is to be committed.
	Majority func(voters int) int
	// Story keeps what happens, for [Result.Trace].
	Story bool
}

func (r Rules) withDefaults() Rules {
	if r.Machine == nil {
		r.Machine = func() Machine { return state.New() }
	}
	if r.Court == nil {
		r.Court = func(cfg verdict.Config, now time.Duration) Court { return verdict.New(cfg, now) }
	}
	if r.Heir == nil {
		r.Heir = duties.Heir
	}
	if r.Farewell == nil {
		r.Farewell = duties.Farewell
	}
	if r.Disowns == nil {
		r.Disowns = (*node).owns
	}
	if r.Balance == nil {
		r.Balance = (*duties.Duties).Balance
	}
	if r.Majority == nil {
		r.Majority = func(voters int) int { return voters/2 + 1 }
	}
	return r
}
