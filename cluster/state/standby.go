package state

import (
	"errors"
	"fmt"
	"slices"

	"tmms/media"
)

// Why a change of a standby or an owner is refused.
var (
	// ErrStandby is wrapped by [StandbyError].
	ErrStandby = errors.New("another standby is in place")
	// ErrNotInSync is wrapped by [NotInSyncError].
	ErrNotInSync = errors.New("the node is not a standby in sync")
)

// SetStandby replaces From, the standby in place ("" is none), by To, or says
// whether it is in sync. It is a compare-and-set on the epoch and on From. The
// leader chooses standbys; the owner says that one is in sync, and takes one out
// that does not keep up. The result is the [Placement], or a [StaleEpochError], a
// [StandbyError], an [OwnedError] if To is the owner or there is none, or
// [ErrNotPlaced].
type SetStandby struct {
	Key    Key    `json:"key"`
	Epoch  uint64 `json:"epoch"`
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	InSync bool   `json:"in_sync,omitempty"`
}

// Move makes To, which must be the stream's standby and in sync, its owner in a
// new epoch. It is a compare-and-set on Epoch, of an orphan too, and the one way
// in which ownership moves without a claim: for the streams of a node that is
// drained or has too many. The result is the [Placement], or a [StaleEpochError],
// a [NotInSyncError], a [DrainingError] or [ErrNotPlaced].
type Move struct {
	Key      Key    `json:"key"`
	Epoch    uint64 `json:"epoch"`
	To       string `json:"to"`
	AtUnixMS int64  `json:"at_unix_ms"`
}

// FailOver takes from Node, which is dead, the streams that it owns in an epoch up
// to MaxEpoch, orphans that it lost too: those with a standby in sync move to it,
// each in a new epoch, as by [Move], unless it is among Except; the others become
// orphans, as by [ExpireNode]. Where Node is the standby there is none any more.
// The result is a [FailOverResult].
type FailOver struct {
	Node     string   `json:"node"`
	MaxEpoch uint64   `json:"max_epoch"`
	Except   []string `json:"except,omitempty"` // they are dead too, or have nothing of them
	AtUnixMS int64    `json:"at_unix_ms"`
}

// FailOverResult is the number of streams that have a new owner, and of those that
// have none.
type FailOverResult struct {
	Moved int `json:"moved"`
	Lost  int `json:"lost"`
}

// StandbyError refuses a [SetStandby] that means another standby than Current.
type StandbyError struct {
	Key            media.StreamKey
	Given, Current string
}

// Error names both standbys.
func (e *StandbyError) Error() string {
	return fmt.Sprintf("%s: %s: given %q, current %q", ErrStandby, e.Key, e.Given, e.Current)
}

// Unwrap gives [ErrStandby].
func (e *StandbyError) Unwrap() error { return ErrStandby }

// NotInSyncError refuses a [Move]; Placement is the one in force.
type NotInSyncError struct {
	Key       media.StreamKey
	To        string
	Placement Placement
}

// Error names the node that was to own the stream, and the standby.
func (e *NotInSyncError) Error() string {
	return fmt.Sprintf("%s: %s: given %q, the standby is %q (in sync: %t)",
		ErrNotInSync, e.Key, e.To, e.Placement.Standby, e.Placement.InSync)
}

// Unwrap gives [ErrNotInSync].
func (e *NotInSyncError) Unwrap() error { return ErrNotInSync }

func (SetStandby) commandType() string { return "set_standby" }
func (Move) commandType() string       { return "move" }
func (FailOver) commandType() string   { return "fail_over" }

// placedIn gives the placement of a stream if that is of this epoch.
func (s *State) placedIn(key media.StreamKey, epoch uint64) (Placement, error) {
	p, placed := s.placements[key]
	switch {
	case !placed:
		return p, ErrNotPlaced
	case p.Epoch != epoch:
		return p, &StaleEpochError{Key: key, Given: epoch, Current: p.Epoch}
	}
	return p, nil
}

func (c SetStandby) apply(s *State) (any, error) {
	key := media.StreamKey(c.Key)
	p, refusal := s.placedIn(key, c.Epoch)
	switch {
	case refusal != nil:
		return refusal, nil //nolint:nilerr // a refusal is a result
	case p.Standby != c.From:
		return &StandbyError{Key: key, Given: c.From, Current: p.Standby}, nil
	case p.Orphan(), c.To == p.Owner:
		return &OwnedError{Key: key, Placement: p}, nil
	}
	p.Standby, p.InSync = c.To, c.InSync && c.To != ""
	s.placements[key] = p
	return p, nil
}

func (c Move) apply(s *State) (any, error) {
	key := media.StreamKey(c.Key)
	p, refusal := s.placedIn(key, c.Epoch)
	switch {
	case refusal != nil:
		return refusal, nil //nolint:nilerr // a refusal is a result
	case c.To == "" || p.Standby != c.To || !p.InSync:
		return &NotInSyncError{Key: key, To: c.To, Placement: p}, nil
	case s.Draining(c.To):
		return &DrainingError{Node: c.To}, nil
	}
	return s.promote(key, p, c.AtUnixMS), nil
}

// promote makes the standby the owner, in a new epoch.
func (s *State) promote(key media.StreamKey, p Placement, atUnixMS int64) Placement {
	s.epoch++
	next := Placement{Epoch: s.epoch, Owner: p.Standby, ClaimedAtMS: atUnixMS, T0MS: p.T0MS}
	s.placements[key] = next
	return next
}

func (c FailOver) apply(s *State) (any, error) {
	var r FailOverResult
	if c.Node == "" {
		return r, nil
	}
	for _, placed := range s.Placements() { // in order: epochs are given
		p := placed.Placement
		if p.Standby == c.Node {
			p.Standby, p.InSync = "", false
			s.placements[placed.Key] = p
		}
		if p.Owner != c.Node && (!p.Orphan() || p.LostBy != c.Node) || p.Epoch > c.MaxEpoch {
			continue
		}
		switch {
		case p.InSync && !slices.Contains(c.Except, p.Standby):
			s.promote(placed.Key, p, c.AtUnixMS)
			r.Moved++
		case !p.Orphan():
			p.Owner, p.LostBy, p.LostAtMS = "", c.Node, c.AtUnixMS
			s.placements[placed.Key] = p
			r.Lost++
		}
	}
	return r, nil
}

// StandbyOf lists the streams that a node is the standby of, in no order.
func (s *State) StandbyOf(node string) []PlacedStream {
	var list []PlacedStream
	for key, p := range s.placements {
		if p.Standby == node {
			list = append(list, PlacedStream{Key: key, Placement: p})
		}
	}
	return list
}
