package state

import (
	"cmp"
	"errors"
	"fmt"

	"tmms/media"
)

// epochShift leaves room for 2^20 epochs in each second since 1970, so that
// counters which start at different times never meet.
const epochShift = 20

// Why a command on a placement is refused.
var (
	// ErrNotInitialized refuses claims before the first [Init].
	ErrNotInitialized = errors.New("state is not initialized")
	// ErrOwned is wrapped by [OwnedError].
	ErrOwned = errors.New("stream has an owner")
	// ErrStaleEpoch is wrapped by [StaleEpochError].
	ErrStaleEpoch = errors.New("stale epoch")
)

// Placement says who owns a stream. It lives from the first claim to the
// release; a later claim, by the same node or of an orphan, takes a new epoch
// and keeps T0MS. An orphan is a placement without an owner: its node was lost,
// its epoch is still the last one given.
type Placement struct {
	Epoch       uint64 `json:"epoch"`
	Owner       string `json:"owner"`             // node id; "" of an orphan
	Standby     string `json:"standby,omitempty"` // node id; "" is none
	InSync      bool   `json:"in_sync,omitempty"` // the standby has all that readers were given
	ClaimedAtMS int64  `json:"claimed_at_ms"`     // unix ms of this epoch's claim
	T0MS        int64  `json:"t0_ms"`             // unix ms of the stream's time 0

	// Of an orphan:
	LostBy   string `json:"lost_by,omitempty"`    // node id of the last owner
	LostAtMS int64  `json:"lost_at_ms,omitempty"` // unix ms
}

// Orphan reports whether the stream has lost its owner and waits for a claim.
func (p Placement) Orphan() bool { return p.Owner == "" }

// PlacedStream is a placement with its stream.
type PlacedStream struct {
	Key media.StreamKey `json:"key"`
	Placement
}

// OwnedError refuses a claim; Placement is the one in force.
type OwnedError struct {
	Key       media.StreamKey
	Placement Placement
}

// Error names the owner.
func (e *OwnedError) Error() string {
	if e.Placement.Orphan() {
		return fmt.Sprintf("%s: %s: lost by node %s in epoch %d", ErrOwned, e.Key, e.Placement.LostBy, e.Placement.Epoch)
	}
	return fmt.Sprintf("%s: %s: node %s in epoch %d", ErrOwned, e.Key, e.Placement.Owner, e.Placement.Epoch)
}

// Unwrap gives [ErrOwned].
func (e *OwnedError) Unwrap() error { return ErrOwned }

// StaleEpochError refuses a release: the stream has moved on to Current.
type StaleEpochError struct {
	Key            media.StreamKey
	Given, Current uint64
}

// Error names both epochs.
func (e *StaleEpochError) Error() string {
	return fmt.Sprintf("%s: %s: given %d, current %d", ErrStaleEpoch, e.Key, e.Given, e.Current)
}

// Unwrap gives [ErrStaleEpoch].
func (e *StaleEpochError) Unwrap() error { return ErrStaleEpoch }

func (c Claim) apply(s *State) (any, error) {
	if !s.Initialized() {
		return ErrNotInitialized, nil
	}
	key := media.StreamKey(c.Key)
	if s.Draining(c.Node) {
		return &DrainingError{Node: c.Node}, nil
	}
	old, placed := s.placements[key]
	if placed && !old.Orphan() && old.Owner != c.Node {
		return &OwnedError{Key: key, Placement: old}, nil
	}
	s.epoch++
	p := Placement{Epoch: s.epoch, Owner: c.Node, ClaimedAtMS: c.AtUnixMS, T0MS: c.AtUnixMS}
	if placed {
		p.T0MS, p.Standby = old.T0MS, old.Standby
		if p.Standby == c.Node {
			p.Standby = ""
		}
	}
	s.placements[key] = p
	return p, nil
}

func (c Release) apply(s *State) (any, error) {
	key := media.StreamKey(c.Key)
	p, placed := s.placements[key]
	switch {
	case !placed:
		return nil, nil
	case p.Epoch != c.Epoch:
		return &StaleEpochError{Key: key, Given: c.Epoch, Current: p.Epoch}, nil
	}
	delete(s.placements, key)
	return nil, nil
}

// BumpEpochs raises the epoch counter above everything that the cluster can
// have given since a backup was made: max(stored, now << 20) + 2^20. It is for
// a restored backup only; a replica that restores its own raft snapshot keeps
// the counter.
func (s *State) BumpEpochs(nowUnix int64) {
	s.epoch = max(s.epoch, uint64(max(nowUnix, 0))<<epochShift) + 1<<epochShift
}

func compareKeys(a, b media.StreamKey) int {
	return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.App, b.App), cmp.Compare(a.Stream, b.Stream))
}
