package control

import (
	"encoding/json"
	"errors"
	"fmt"

	"tmms/cluster/consensus"
	"tmms/cluster/member"
	"tmms/cluster/state"
	"tmms/media"
)

// ErrNoLeader ends a watch of a voter that has not known a leader for some
// time: another voter may have later news.
var ErrNoLeader = errors.New("this voter knows no leader")

// ErrBusy refuses what comes on top of too much else: a watch, a large request.
var ErrBusy = errors.New("this node has too much to do")

// errFailed is whatever has no code of its own.
var errFailed = errors.New("failed")

// fault is an error on the wire.
type fault struct {
	Code    string          `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// RemoteError is an error that another node answered. It wraps the value that
// the other node's error wrapped, if that has a code.
type RemoteError struct {
	Message string
	Leader  string // with member.ErrNotLeader: the name of who leads, if known
	kind    error
}

// Error gives the other node's words.
func (e *RemoteError) Error() string { return e.Message }

// Unwrap gives the value that callers compare with.
func (e *RemoteError) Unwrap() error { return e.kind }

// coded pairs values with their codes; the first that matches counts.
func coded() []struct {
	code string
	err  error
} {
	return []struct {
		code string
		err  error
	}{
		{"not_leader", member.ErrNotLeader},
		{"uncertain", member.ErrUncertain},
		{"uncertain", member.ErrStopped}, // of the other node: whoever asks goes on with the next
		{"lease_lapsed", member.ErrLeaseLapsed},
		{"forbidden", member.ErrForbidden},
		{"quorum", consensus.ErrQuorum},
		{"transfer", consensus.ErrTransfer},
		{"feature_level", member.ErrLevel},
		{"not_initialized", state.ErrNotInitialized},
		{"not_placed", state.ErrNotPlaced},
		{"standby", state.ErrStandby},
		{"not_in_sync", state.ErrNotInSync},
		{"draining", state.ErrDraining},
		{"unknown_node", state.ErrUnknownNode},
		{"token", state.ErrToken},
		{"level", state.ErrLevel},
		{"no_leader", ErrNoLeader},
		{"busy", ErrBusy},
		{"invalid", member.ErrInvalid},
	}
}

// Errors with values of their own.
type (
	ownedData struct {
		Key       state.Key       `json:"key"`
		Placement state.Placement `json:"placement"`
	}
	staleData struct {
		Key     state.Key `json:"key"`
		Given   uint64    `json:"given"`
		Current uint64    `json:"current"`
	}
	conflictData struct {
		Base    uint64 `json:"base"`
		Current uint64 `json:"current"`
	}
	leaderData struct {
		Name string `json:"name"`
	}
)

// asFault gives the wire form; leader is the name of who leads, if known.
func asFault(err error, leader string) *fault {
	f := &fault{Code: "failed", Message: err.Error()}
	if owned, ok := errors.AsType[*state.OwnedError](err); ok {
		return f.with("owned", ownedData{state.Key(owned.Key), owned.Placement})
	}
	if stale, ok := errors.AsType[*state.StaleEpochError](err); ok {
		return f.with("stale_epoch", staleData{state.Key(stale.Key), stale.Given, stale.Current})
	}
	if conflict, ok := errors.AsType[*state.ConflictError](err); ok {
		return f.with("conflict", conflictData{conflict.Base, conflict.Current})
	}
	if faults, ok := errors.AsType[*state.FaultsError](err); ok {
		return f.with("faults", faults.Faults)
	}
	for _, c := range coded() {
		if errors.Is(err, c.err) {
			f.Code = c.code
			break
		}
	}
	if f.Code == "not_leader" && leader != "" {
		return f.with(f.Code, leaderData{leader})
	}
	return f
}

func (f *fault) with(code string, data any) *fault {
	b, err := json.Marshal(data)
	if err != nil {
		return f
	}
	f.Code, f.Data = code, b
	return f
}

// asError is the reverse of asFault: the same types and values for callers to
// inspect.
func (f *fault) asError() error {
	switch f.Code {
	case "owned":
		return decodeFault(f, func(d ownedData) error {
			return &state.OwnedError{Key: media.StreamKey(d.Key), Placement: d.Placement}
		})
	case "stale_epoch":
		return decodeFault(f, func(d staleData) error {
			return &state.StaleEpochError{Key: media.StreamKey(d.Key), Given: d.Given, Current: d.Current}
		})
	case "conflict":
		return decodeFault(f, func(d conflictData) error {
			return &state.ConflictError{Base: d.Base, Current: d.Current}
		})
	case "faults":
		return decodeFault(f, func(d []state.Fault) error { return &state.FaultsError{Faults: d} })
	case "not_leader":
		var d leaderData
		if len(f.Data) > 0 {
			_ = json.Unmarshal(f.Data, &d) // without a name another node is asked
		}
		return &RemoteError{Message: f.Message, Leader: d.Name, kind: member.ErrNotLeader}
	}
	for _, c := range coded() {
		if f.Code == c.code {
			return &RemoteError{Message: f.Message, kind: c.err}
		}
	}
	return &RemoteError{Message: f.Message, kind: errFailed}
}

func decodeFault[D any](f *fault, build func(D) error) error {
	var d D
	if err := json.Unmarshal(f.Data, &d); err != nil {
		return fmt.Errorf("control: error %q with bad data: %w", f.Code, err)
	}
	return build(d)
}
