package state

import (
	"fmt"
	"maps"
	"slices"

	"tmms/media"
)

// State is the replicated state. It has one owner, the applier.
type State struct {
	index      uint64 // raft index of the last command
	clusterID  string
	epoch      uint64 // the highest epoch given so far
	history    []Revision
	config     *Config // compiled from the last of history
	placements map[media.StreamKey]Placement
	nodes      map[string]Node
	revoked    *Revocations
	drains     map[string]Drain
	tokens     map[string]JoinToken
	level      int   // see [RaiseLevel]
	later      later // what the next release adds
	stopped    error // set for ever by a command that could not be applied
}

// New gives the empty state, before any command.
func New() *State {
	return &State{
		config:     &Config{},
		placements: map[media.StreamKey]Placement{},
		nodes:      map[string]Node{},
		revoked:    &Revocations{},
		drains:     map[string]Drain{},
		tokens:     map[string]JoinToken{},
	}
}

// Apply changes the state by one command, which raft has committed at index.
// The result is what the command's type says, or an error value that refuses
// the command and is as deterministic as any result. The second return value
// is not: it wraps [ErrUnknownCommand] and means that this replica cannot go
// on. The state is then unchanged, and Apply and Snapshot fail from there on.
func (s *State) Apply(index uint64, command []byte) (any, error) {
	if s.stopped != nil {
		return nil, s.stopped
	}
	return s.ApplyPrepared(index, Prepare(command))
}

// Prepared is a command of which all is done that does not depend on a state.
type Prepared struct {
	command Command
	err     error
}

// Prepare does the most of the work of [State.Apply], for a command which may be a
// config of megabytes: while nobody waits for the state.
func Prepare(command []byte) Prepared {
	c, err := decodeCommand(command)
	if set, ok := c.(SetConfig); ok {
		set.compiled = set.compile()
		c = set
	}
	return Prepared{c, err}
}

// ApplyPrepared is [State.Apply] for a command that was prepared.
func (s *State) ApplyPrepared(index uint64, p Prepared) (any, error) {
	if s.stopped != nil {
		return nil, s.stopped
	}
	if p.err != nil {
		return nil, s.stop(index, p.err)
	}
	result, err := p.command.apply(s)
	if err != nil {
		return nil, s.stop(index, err)
	}
	s.index = index
	return result, nil
}

func (s *State) stop(index uint64, err error) error {
	s.stopped = fmt.Errorf("state: apply index %d: %w", index, err)
	return s.stopped
}

// InitResult says whether this Init was the first.
type InitResult struct {
	First     bool   `json:"first"`
	ClusterID string `json:"cluster_id"`
}

func (c Init) apply(s *State) (any, error) {
	if s.Initialized() {
		return InitResult{ClusterID: s.clusterID}, nil
	}
	s.clusterID = c.ClusterID
	s.epoch = uint64(max(c.UnixSeconds, 1)) << epochShift
	return InitResult{First: true, ClusterID: s.clusterID}, nil
}

// Index is the raft index of the last command applied.
func (s *State) Index() uint64 { return s.index }

// Initialized reports whether the first [Init] was applied.
func (s *State) Initialized() bool { return s.epoch != 0 }

// ClusterID is the id that the first [Init] gave.
func (s *State) ClusterID() string { return s.clusterID }

// Config is the current config, never nil.
func (s *State) Config() *Config { return s.config }

// History lists the revisions that are kept, oldest first, the current one
// last; the caller owns the slice.
func (s *State) History() []Revision { return slices.Clone(s.history) }

// Placement gives the placement of a stream.
func (s *State) Placement(key media.StreamKey) (Placement, bool) {
	p, ok := s.placements[key]
	return p, ok
}

// Placements lists all placements, ordered by key.
func (s *State) Placements() []PlacedStream {
	list := make([]PlacedStream, 0, len(s.placements))
	for k, p := range s.placements {
		list = append(list, PlacedStream{Key: k, Placement: p})
	}
	slices.SortFunc(list, func(a, b PlacedStream) int { return compareKeys(a.Key, b.Key) })
	return list
}

// Nodes lists the nodes, ordered by id.
func (s *State) Nodes() []Node {
	list := make([]Node, 0, len(s.nodes))
	for _, id := range slices.Sorted(maps.Keys(s.nodes)) {
		list = append(list, s.nodes[id])
	}
	return list
}

// PlacementCount is the number of placements.
func (s *State) PlacementCount() int { return len(s.placements) }
