package state

import (
	"cmp"
	"errors"
	"slices"
)

// ErrRevokesNothing refuses a [Revoke] that names no certificate, or two kinds.
var ErrRevokesNothing = errors.New("want a node or a serial number, and not both")

// Revocation takes certificates of nodes out of use before they end.
type Revocation struct {
	// Node names the holder of all certificates that were issued up to AtUnixMS;
	// "" if it is one certificate, with the serial number Serial.
	Node     string `json:"node,omitempty"`
	Serial   string `json:"serial,omitempty"` // hex, lower case
	AtUnixMS int64  `json:"at_unix_ms"`
	// UntilUnixMS is when the last of them has ended by itself.
	UntilUnixMS int64  `json:"until_unix_ms"`
	By          string `json:"by,omitempty"` // who asked for it
}

// Revocations is a list of them. It is immutable, and a change gives another.
type Revocations struct {
	list []Revocation // ordered by Node, Serial; one for each
}

// NewRevocations gives a list of revocations, of which it takes one for each node
// and serial number.
func NewRevocations(list []Revocation) *Revocations {
	list = slices.Clone(list)
	slices.SortStableFunc(list, compareRevocations)
	return &Revocations{slices.CompactFunc(list, func(a, b Revocation) bool { return compareRevocations(a, b) == 0 })}
}

// All are the revocations in a fixed order; do not modify.
func (r *Revocations) All() []Revocation { return r.list }

// Len is their number.
func (r *Revocations) Len() int { return len(r.list) }

// Revoke puts a revocation on the list; one of the same certificates that is
// there is widened. Those that have ended by AtUnixMS leave the list. If Node is
// set, the cluster forgets all nodes of that name, and the streams that they own
// become orphans, as with [RemoveNode]; one that comes back with a later
// certificate is as any other. The result is a [RevokeResult] or
// [ErrRevokesNothing].
type Revoke struct {
	Revocation
}

// RevokeResult is the revocation in force, and the number of streams that lost
// their owner.
type RevokeResult struct {
	Revocation Revocation `json:"revocation"`
	Lost       int        `json:"lost"`
}

// DropRevocations takes those off the list whose certificates have ended by
// AtUnixMS. The result is a [DropResult].
type DropRevocations struct {
	AtUnixMS int64 `json:"at_unix_ms"`
}

func (Revoke) commandType() string          { return "revoke" }
func (DropRevocations) commandType() string { return "drop_revocations" }

func (c Revoke) apply(s *State) (any, error) {
	r := c.Revocation
	if (r.Node == "") == (r.Serial == "") {
		return ErrRevokesNothing, nil
	}
	list, _ := s.revoked.without(r.AtUnixMS)
	i, found := slices.BinarySearchFunc(list, r, compareRevocations)
	if found {
		old := list[i]
		r.AtUnixMS, r.UntilUnixMS = max(r.AtUnixMS, old.AtUnixMS), max(r.UntilUnixMS, old.UntilUnixMS)
		list[i] = r
	} else {
		list = slices.Insert(list, i, r)
	}
	s.revoked = &Revocations{list}
	return RevokeResult{Revocation: r, Lost: s.forget(r.Node, r.AtUnixMS)}, nil
}

// forget takes all nodes of a name out of the state; "" is none.
func (s *State) forget(name string, atUnixMS int64) (lost int) {
	for id, n := range s.nodes {
		if name != "" && n.Name == name {
			delete(s.nodes, id)
			delete(s.drains, id)
			lost += s.disown(id, s.epoch, atUnixMS)
		}
	}
	return lost
}

func (c DropRevocations) apply(s *State) (any, error) {
	list, dropped := s.revoked.without(c.AtUnixMS)
	if dropped > 0 {
		s.revoked = &Revocations{list}
	}
	return DropResult{Dropped: dropped}, nil
}

// without is a copy of the list with those left out that have ended by then.
func (r *Revocations) without(atUnixMS int64) (list []Revocation, dropped int) {
	list = slices.DeleteFunc(slices.Clone(r.list), func(v Revocation) bool { return v.UntilUnixMS <= atUnixMS })
	return list, len(r.list) - len(list)
}

func compareRevocations(a, b Revocation) int {
	return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Serial, b.Serial))
}

// Revocations are the certificates that are not good any more; never nil.
func (s *State) Revocations() *Revocations { return s.revoked }
