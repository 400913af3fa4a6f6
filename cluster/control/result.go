package control

import (
	"encoding/json"
	"fmt"

	"tmms/cluster/state"
)

// encodeResult gives the wire form of what a command resulted in.
func encodeResult(index uint64, result any) (proposed, error) {
	p := proposed{Index: index}
	if refusal, ok := result.(error); ok {
		p.Refusal = asFault(refusal, "")
		return p, nil
	}
	b, err := json.Marshal(result)
	p.Result = b
	return p, err
}

// decodeResult gives the result of a command with its type; a refusal is a
// result.
func decodeResult(c state.Command, p proposed) (any, error) {
	if p.Refusal != nil {
		return p.Refusal.asError(), nil
	}
	switch c.(type) {
	case state.Claim, state.Resume, state.SetStandby, state.Move:
		return decodeAs[state.Placement](p.Result)
	case state.SetConfig:
		return decodeAs[state.SetConfigResult](p.Result)
	case state.ExpireNode, state.RemoveNode:
		return decodeAs[state.ExpireResult](p.Result)
	case state.FailOver:
		return decodeAs[state.FailOverResult](p.Result)
	case state.Restore:
		return decodeAs[state.RestoreResult](p.Result)
	case state.UseToken:
		return decodeAs[state.JoinToken](p.Result)
	case state.DropOrphans, state.DropToken:
		return decodeAs[state.DropResult](p.Result)
	}
	return nil, nil //nolint:nilnil // the other commands have no result
}

func decodeAs[T any](b []byte) (any, error) {
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("control: result %T: %w", v, err)
	}
	return v, nil
}
