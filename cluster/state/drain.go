package state

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrDraining is wrapped by [DrainingError].
var ErrDraining = errors.New("the node is being drained")

// ErrUnknownNode refuses to drain a node that the cluster does not know.
var ErrUnknownNode = errors.New("no such node")

// SetDrain says whether a node is to be emptied: it is given no stream any more.
// What it has stays until somebody moves it. The result is nil, or [ErrUnknownNode].
type SetDrain struct {
	Node     string `json:"node"`
	On       bool   `json:"on"`
	AtUnixMS int64  `json:"at_unix_ms"`
	By       string `json:"by,omitempty"` // who asked for it
}

// Drain says since when a node is being drained, and who wanted it.
type Drain struct {
	Node     string `json:"node"`
	AtUnixMS int64  `json:"at_unix_ms"`
	By       string `json:"by,omitempty"`
}

// DrainingError refuses to give a stream to a node that is being drained.
type DrainingError struct{ Node string }

// Error names the node.
func (e *DrainingError) Error() string { return fmt.Sprintf("%s: %s", ErrDraining, e.Node) }

// Unwrap gives [ErrDraining].
func (e *DrainingError) Unwrap() error { return ErrDraining }

func (SetDrain) commandType() string { return "set_drain" }

func (c SetDrain) apply(s *State) (any, error) {
	if !c.On {
		delete(s.drains, c.Node)
		return nil, nil
	}
	if _, known := s.nodes[c.Node]; !known {
		return fmt.Errorf("%w: %.64q", ErrUnknownNode, c.Node), nil
	}
	if _, drains := s.drains[c.Node]; !drains {
		s.drains[c.Node] = Drain{Node: c.Node, AtUnixMS: c.AtUnixMS, By: c.By}
	}
	return nil, nil
}

// Draining reports whether a node is being drained.
func (s *State) Draining(node string) bool {
	_, drains := s.drains[node]
	return drains
}

// Drains lists the nodes that are being drained, ordered by id.
func (s *State) Drains() []Drain {
	list := make([]Drain, 0, len(s.drains))
	for _, id := range slices.Sorted(maps.Keys(s.drains)) {
		list = append(list, s.drains[id])
	}
	return list
}
