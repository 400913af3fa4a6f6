package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// How many revisions are kept to roll back to: at most historyLen, fewer if
// they are larger than historyBytes together.
const (
	historyLen   = 64
	historyBytes = 64 << 20
)

// AnyRevision as a base revision accepts whatever config is current.
const AnyRevision uint64 = math.MaxUint64

// ErrConflict is wrapped by [ConflictError].
var ErrConflict = errors.New("config was changed meanwhile")

// ConflictError refuses a config made from a revision that is not current.
type ConflictError struct {
	Base, Current uint64
}

// Error names both revisions.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s: made from revision %d, current is %d", ErrConflict, e.Base, e.Current)
}

// Unwrap gives [ErrConflict].
func (e *ConflictError) Unwrap() error { return ErrConflict }

// Revision is one config that was set; it is immutable.
type Revision struct {
	Number   uint64          `json:"revision"`
	AtUnixMS int64           `json:"at_unix_ms"`
	By       string          `json:"by"`
	Config   json.RawMessage `json:"config"` // the normalized document
}

// Document decodes the config.
func (r Revision) Document() (*Document, error) {
	var d Document
	if err := strictJSON(r.Config, &d); err != nil {
		return nil, fmt.Errorf("state: revision %d: %w", r.Number, err)
	}
	return &d, nil
}

// SetConfigResult is the revision in force after a [SetConfig]; Changed is
// false if the document was that already, which takes no new number.
type SetConfigResult struct {
	Revision uint64 `json:"revision"`
	Changed  bool   `json:"changed"`
}

// compiled is what a [SetConfig] becomes, but for the number; it does not depend on
// the state.
type compiled struct {
	document []byte  // as JSON
	config   *Config // nil with err
	err      error
}

// compile is the costly part of a [SetConfig].
func (c SetConfig) compile() *compiled {
	out := &compiled{}
	if out.document, out.err = json.Marshal(c.Document); out.err == nil {
		out.config, out.err = NewConfig(0, &c.Document)
	}
	return out
}

func (c SetConfig) apply(s *State) (any, error) {
	current := s.config.Revision()
	if c.BaseRevision != nil && *c.BaseRevision != current {
		return &ConflictError{Base: *c.BaseRevision, Current: current}, nil
	}
	made := c.compiled
	if made == nil {
		made = c.compile()
	}
	if n := len(s.history); n > 0 && bytes.Equal(s.history[n-1].Config, made.document) {
		return SetConfigResult{Revision: current}, nil
	}
	if made.err != nil {
		return nil, fmt.Errorf("%w: set_config: %w", ErrUnknownCommand, made.err)
	}
	cfg := *made.config
	cfg.revision = current + 1
	s.config = &cfg
	s.history = append(s.history, Revision{Number: cfg.revision, AtUnixMS: c.AtUnixMS, By: c.By, Config: made.document})
	s.trimHistory()
	return SetConfigResult{Revision: cfg.revision, Changed: true}, nil
}

func (s *State) trimHistory() {
	size := 0
	for i, r := range slices.Backward(s.history) {
		size += len(r.Config)
		if len(s.history)-i > historyLen || (size > historyBytes && i < len(s.history)-1) {
			s.history = slices.Clone(s.history[i+1:])
			return
		}
	}
}
