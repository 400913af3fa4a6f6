//go:build next

package state

import (
	"fmt"

	"tmms/media"
)

// Level is that of the release after this one, as tests of upgrades have it: it
// adds a notice of the operators to the state. See ADR 11.
const Level = levelNotice

// levelNotice is the feature level that has [SetNotice].
const levelNotice = 3

// snapshotVersion is one more: a snapshot may have a notice.
const snapshotVersion = snapshotTokens + 1

// later is in the state and in its snapshots.
type later struct {
	Notice string `json:"notice,omitempty"`
}

// SetNotice puts up a text of the operators for all to see; "" takes it down. The
// result is nil.
type SetNotice struct {
	Text string `json:"text"`
}

func (SetNotice) commandType() string { return "set_notice" }

func (c SetNotice) apply(s *State) (any, error) {
	s.later.Notice = c.Text
	return nil, nil
}

// Check implements [Checked].
func (c SetNotice) Check() error {
	if len(c.Text) > media.MaxName {
		return fmt.Errorf("a notice has %d bytes, the limit is %d", len(c.Text), media.MaxName)
	}
	return nil
}

// Notice is what the last [SetNotice] put up.
func (s *State) Notice() string { return s.later.Notice }

func laterNeeds(c Command) int {
	if _, ok := c.(SetNotice); ok {
		return levelNotice
	}
	return 0
}

func decodeLater(e envelope) (Command, error) {
	if e.Type == "set_notice" {
		return decodeData[SetNotice](e)
	}
	return nil, fmt.Errorf("%w: type %q", ErrUnknownCommand, clip(e.Type))
}
