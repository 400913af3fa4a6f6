package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tmms/media"
)

// ErrUnknownCommand is wrapped by the error of [State.Apply] for a command that
// this version does not understand in full: an unknown envelope version, type
// or field, or a config that it cannot run. Such a command must never be
// skipped, or this replica would differ from the others: the applier stops.
var ErrUnknownCommand = errors.New("unknown command")

// commandVersion is the version of the envelope.
const commandVersion = 1

// envelope is a command on the wire: {"v":1,"type":"claim","data":{...}}.
type envelope struct {
	Version int             `json:"v"`
	Type    string          `json:"type"`
	Data    json.RawMessage `json:"data"`
}

// Command is a change that raft replicates: [Init], [SetConfig], [Claim],
// [Release], [Resume], [UpsertNode], [RemoveNode], [ExpireNode], [DropOrphans],
// [SetStandby], [Move], [FailOver], [SetDrain], [RaiseLevel], [Restore], [Revoke],
// [DropRevocations], [PutToken], [UseToken] or [DropToken].
type Command interface {
	commandType() string
	apply(s *State) (any, error)
}

// Checked is a command that any origin may ask for. Check refuses one that must not
// get into the log; its rules may change between versions, those of apply may not.
type Checked interface {
	Command
	Check() error
}

// Key is a media.StreamKey as commands and snapshots carry it; each converts to
// the other.
type Key struct {
	Domain string `json:"domain"`
	App    string `json:"app"`
	Stream string `json:"stream"`
}

// Init starts the epoch counter at UnixSeconds << 20. Only the first one counts;
// the result is an [InitResult].
type Init struct {
	UnixSeconds int64  `json:"unix_seconds"`
	ClusterID   string `json:"cluster_id"`
}

// SetConfig replaces the config. Without BaseRevision it always does, else only
// if that is the current one, or the result is a [ConflictError]. Document must
// be normalized with its keys hashed. The result is a [SetConfigResult].
type SetConfig struct {
	BaseRevision *uint64  `json:"base_revision,omitempty"`
	AtUnixMS     int64    `json:"at_unix_ms"`
	By           string   `json:"by"`
	Document     Document `json:"document"`

	compiled *compiled // nil: not yet, see [Prepare]
}

// Claim makes Node the owner of the stream, in a new epoch; an orphan keeps its
// T0. The result is a [Placement], an [OwnedError] while another node owns it, or a
// [DrainingError].
type Claim struct {
	Key      Key    `json:"key"`
	Node     string `json:"node"`
	AtUnixMS int64  `json:"at_unix_ms"`
}

// Release ends the ownership of the stream if Epoch is still the one of its
// placement, else the result is a [StaleEpochError]. Releasing a stream that is
// not placed is done already: the result is nil.
type Release struct {
	Key   Key    `json:"key"`
	Epoch uint64 `json:"epoch"`
}

// Check implements [Checked].
func (c Release) Check() error { return media.StreamKey(c.Key).Validate() }

// UpsertNode adds a node or replaces what is known of it. The result is nil.
type UpsertNode struct {
	Node Node `json:"node"`
}

func (Init) commandType() string       { return "init" }
func (SetConfig) commandType() string  { return "set_config" }
func (Claim) commandType() string      { return "claim" }
func (Release) commandType() string    { return "release" }
func (UpsertNode) commandType() string { return "upsert_node" }

// Encode gives the bytes that [State.Apply] takes.
func Encode(c Command) ([]byte, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("state: encode %s: %w", c.commandType(), err)
	}
	return json.Marshal(envelope{Version: commandVersion, Type: c.commandType(), Data: data})
}

// Decode is the reverse of [Encode], as strict as [State.Apply]: every error
// wraps [ErrUnknownCommand]. A command from another node is decoded before it is
// proposed, since one that is not understood would stop every replica.
func Decode(b []byte) (Command, error) { return decodeCommand(b) }

// decodeCommand is the reverse of Encode; every error wraps ErrUnknownCommand.
func decodeCommand(b []byte) (Command, error) { //nolint:gocyclo // a case a command
	var e envelope
	if err := strictJSON(b, &e); err != nil {
		return nil, fmt.Errorf("%w: of %d bytes: %w", ErrUnknownCommand, len(b), err) // it may hold keys
	}
	if e.Version != commandVersion {
		return nil, fmt.Errorf("%w: version %d, this node knows %d", ErrUnknownCommand, e.Version, commandVersion)
	}
	switch e.Type {
	case "init":
		return decodeData[Init](e)
	case "set_config":
		return decodeData[SetConfig](e)
	case "claim":
		return decodeData[Claim](e)
	case "release":
		return decodeData[Release](e)
	case "upsert_node":
		return decodeData[UpsertNode](e)
	case "remove_node":
		return decodeData[RemoveNode](e)
	case "expire_node":
		return decodeData[ExpireNode](e)
	case "drop_orphans":
		return decodeData[DropOrphans](e)
	case "resume":
		return decodeData[Resume](e)
	case "set_standby":
		return decodeData[SetStandby](e)
	case "move":
		return decodeData[Move](e)
	case "fail_over":
		return decodeData[FailOver](e)
	case "set_drain":
		return decodeData[SetDrain](e)
	case "raise_level":
		return decodeData[RaiseLevel](e)
	case "restore":
		return decodeData[Restore](e)
	case "revoke":
		return decodeData[Revoke](e)
	case "drop_revocations":
		return decodeData[DropRevocations](e)
	case "put_token":
		return decodeData[PutToken](e)
	case "use_token":
		return decodeData[UseToken](e)
	case "drop_token":
		return decodeData[DropToken](e)
	}
	return decodeLater(e)
}

func decodeData[C Command](e envelope) (Command, error) {
	var c C
	if err := strictJSON(e.Data, &c); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrUnknownCommand, e.Type, err)
	}
	return c, nil
}

func strictJSON(b []byte, out any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(out); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("bytes after the value")
	}
	return nil
}
