package state

import (
	"errors"

	"tmms/media"
)

// ErrNotPlaced refuses a [Resume] of a stream that is not placed any more.
var ErrNotPlaced = errors.New("stream is not placed")

// MaxDrop bounds the placements of one [DropOrphans].
const MaxDrop = 1024

// ExpireNode takes from Node the streams that it owns in an epoch up to
// MaxEpoch: they become orphans, which keep epoch and T0 and wait for a claim.
// MaxEpoch is [State.Epoch] at the time of the decision, so that what Node
// claims meanwhile stays its own. The result is an [ExpireResult].
type ExpireNode struct {
	Node     string `json:"node"`
	MaxEpoch uint64 `json:"max_epoch"`
	AtUnixMS int64  `json:"at_unix_ms"`
}

// ExpireResult is the number of streams that lost their owner.
type ExpireResult struct {
	Lost int `json:"lost"`
}

// DropOrphans releases orphans whose grace is over; those that were claimed
// meanwhile, in another epoch or by their last owner, are left alone. The
// result is a [DropResult].
type DropOrphans struct {
	Orphans []Orphan `json:"orphans"`
}

// Orphan names a placement without an owner.
type Orphan struct {
	Key   Key    `json:"key"`
	Epoch uint64 `json:"epoch"`
}

// DropResult is the number of orphans that were released.
type DropResult struct {
	Dropped int `json:"dropped"`
}

// Resume gives an orphan back to Node, which lost it in Epoch and has gone on
// streaming: nobody else was ever given that epoch. The result is a
// [Placement], or an [OwnedError], a [StaleEpochError] or [ErrNotPlaced].
type Resume struct {
	Key   Key    `json:"key"`
	Node  string `json:"node"`
	Epoch uint64 `json:"epoch"`
}

func (ExpireNode) commandType() string  { return "expire_node" }
func (DropOrphans) commandType() string { return "drop_orphans" }
func (Resume) commandType() string      { return "resume" }

func (c ExpireNode) apply(s *State) (any, error) {
	return ExpireResult{Lost: s.disown(c.Node, c.MaxEpoch, c.AtUnixMS)}, nil
}

// disown makes orphans of what node owns in an epoch up to maxEpoch.
func (s *State) disown(node string, maxEpoch uint64, atUnixMS int64) (lost int) {
	for key, p := range s.placements {
		if p.Owner != node || p.Owner == "" || p.Epoch > maxEpoch {
			continue
		}
		p.Owner, p.LostBy, p.LostAtMS = "", node, atUnixMS
		s.placements[key] = p
		lost++
	}
	return lost
}

func (c DropOrphans) apply(s *State) (any, error) {
	var r DropResult
	for _, o := range c.Orphans {
		key := media.StreamKey(o.Key)
		p, placed := s.placements[key]
		if !placed || p.Owner != "" || p.Epoch != o.Epoch {
			continue
		}
		delete(s.placements, key)
		r.Dropped++
	}
	return r, nil
}

func (c Resume) apply(s *State) (any, error) {
	key := media.StreamKey(c.Key)
	p, placed := s.placements[key]
	switch {
	case !placed:
		return ErrNotPlaced, nil
	case p.Epoch != c.Epoch:
		return &StaleEpochError{Key: key, Given: c.Epoch, Current: p.Epoch}, nil
	case p.Owner == c.Node:
		return p, nil
	case p.Owner != "" || p.LostBy != c.Node:
		return &OwnedError{Key: key, Placement: p}, nil
	}
	p.Owner, p.LostBy, p.LostAtMS, p.InSync = c.Node, "", 0, false
	s.placements[key] = p
	return p, nil
}

// Orphans lists the placements without an owner, in no order.
func (s *State) Orphans() []PlacedStream {
	var list []PlacedStream
	for k, p := range s.placements {
		if p.Orphan() {
			list = append(list, PlacedStream{Key: k, Placement: p})
		}
	}
	return list
}

// Range gives each placement to do, in no order, until that is false. do must not
// change the state.
func (s *State) Range(do func(key media.StreamKey, p Placement) bool) {
	for k, p := range s.placements {
		if !do(k, p) {
			return
		}
	}
}

// Owners lists the nodes that own a stream, in no order.
func (s *State) Owners() []string {
	seen := map[string]bool{}
	for _, p := range s.placements {
		if !p.Orphan() {
			seen[p.Owner] = true
		}
	}
	list := make([]string, 0, len(seen))
	for id := range seen {
		list = append(list, id)
	}
	return list
}

// Epoch is the highest epoch given so far; see [ExpireNode].
func (s *State) Epoch() uint64 { return s.epoch }
