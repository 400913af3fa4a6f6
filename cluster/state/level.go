package state

import (
	"errors"
	"fmt"
)

// ErrLevel is wrapped by [LevelError].
var ErrLevel = errors.New("the feature level does not fall")

// RaiseLevel says that the cluster uses what comes with a feature level: from then
// on a node of a release without it can't work in it. The leader proposes it only
// if all nodes have told that they know the level. The result is nil, or a
// [LevelError].
type RaiseLevel struct {
	Level int `json:"level"`
}

// LevelError refuses a level below the current one.
type LevelError struct{ Given, Current int }

// Error names both levels.
func (e *LevelError) Error() string {
	return fmt.Sprintf("%s: given %d, current %d", ErrLevel, e.Given, e.Current)
}

// Unwrap gives [ErrLevel].
func (e *LevelError) Unwrap() error { return ErrLevel }

// TooOldError ends a node that can't work in its cluster any more: the cluster uses
// what only a later release knows.
type TooOldError struct {
	Known   int // the feature level of the node's release
	Current int // the cluster's
}

// Error names both levels.
func (e *TooOldError) Error() string {
	return fmt.Sprintf("this release is too old for the cluster: it knows feature level %d, the cluster is at %d",
		e.Known, e.Current)
}

// Unwrap gives [ErrNewer].
func (e *TooOldError) Unwrap() error { return ErrNewer }

// FitsRelease refuses a state of a feature level that a release does not know, with
// a [TooOldError]. The commands of that level may follow at any moment, so a node
// ends before it: what it has is left as it is for a later release.
func FitsRelease(known, current int) error {
	if current > max(known, 0) { // level 0 every release knows
		return &TooOldError{Known: known, Current: current}
	}
	return nil
}

// Needs is the feature level from which on a command may be proposed: an earlier
// release stops at a command that it does not know, and at a field of one. So what
// comes with a level, commands and fields alike, is listed here, and is left out
// until the cluster has been raised to it. What is said outside of the log, in
// requests between nodes, may come at any time: there fields that are not known are
// passed over. Commands of level 0 every release knows.
func Needs(c Command) int {
	switch c := c.(type) {
	case SetStandby, Move, FailOver, SetDrain, Restore:
		return 1
	case PutToken, UseToken, DropToken:
		return 2
	case UpsertNode:
		if c.Node.Issues {
			return 2
		}
		if c.Node.Level > 0 {
			return 1
		}
	case SetConfig:
		if len(c.Document.Regions) > 0 {
			return 1
		}
	}
	return laterNeeds(c)
}

func (RaiseLevel) commandType() string { return "raise_level" }

func (c RaiseLevel) apply(s *State) (any, error) {
	if c.Level < s.level {
		return &LevelError{Given: c.Level, Current: s.level}, nil
	}
	s.level = c.Level
	return nil, nil
}

// FeatureLevel is the level that the cluster was raised to, 0 at first.
func (s *State) FeatureLevel() int { return s.level }
