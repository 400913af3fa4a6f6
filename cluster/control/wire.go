package control

import (
	"encoding/json"
	"errors"

	"tmms/cluster/fabric"
)

// version is that of requests.
const version = 1

// The methods.
const (
	methodHello   = "hello"
	methodPropose = "propose"
	methodRead    = "read"
	methodRenew   = "renew"
	methodWatch   = "watch"
	methodJoin    = "join"
	methodRemove  = "remove"
	methodRevoke  = "revoke"
	methodStatus  = "status"
	methodQuery   = "query"
	methodSeen    = "seen"

	methodTransfer = "transfer"
	methodLevel    = "level"
)

// Codes by which a stream is reset.
const (
	codeGone fabric.StreamErrorCode = 0x100 // nobody waits for it any more
	codeBusy fabric.StreamErrorCode = 0x101 // the peer has too many requests
)

var errFrame = errors.New("control: bad frame")

// request is the client's frame.
type request struct {
	Version int             `json:"v"`
	Method  string          `json:"method"`
	Body    json.RawMessage `json:"body,omitempty"`
}

// reply is a server's frame, but for a watch.
type reply struct {
	Error *fault          `json:"error,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
	Part  []byte          `json:"part,omitempty"`
	More  bool            `json:"more,omitempty"`
}

// proposed is the body of an answer to propose; one of Result and Refusal.
type proposed struct {
	Index   uint64          `json:"index"`
	Result  json.RawMessage `json:"result,omitempty"`
	Refusal *fault          `json:"refusal,omitempty"`
}

// position is the body of an answer to read.
type position struct {
	Index uint64 `json:"index"`
}

// renewal is the body of renew.
type renewal struct {
	ID       string `json:"id"`
	Starting bool   `json:"starting,omitempty"` // see member.Lease
}

// joining is the body of join; of remove and transfer, Name may be an id, and of
// transfer empty.
type joining struct {
	Name    string `json:"name"`
	Address string `json:"address,omitempty"`
}

// leveling is the body of level; 0 only asks.
type leveling struct {
	Level int `json:"level"`
}

// watching is the body of watch: what the follower has.
type watching struct {
	ClusterID string `json:"cluster_id,omitempty"`
	From      uint64 `json:"from"`
}

// step is a server's frame of a watch.
type step struct {
	Error   *fault          `json:"error,omitempty"`
	Index   uint64          `json:"index,omitempty"`
	Command json.RawMessage `json:"command,omitempty"`
	Part    []byte          `json:"part,omitempty"`
	More    bool            `json:"more,omitempty"`
	Mark    *Mark           `json:"mark,omitempty"`
}

// Mark says that a voter has sent all that it has.
type Mark struct {
	Index      uint64 `json:"index"`                 // of the voter's last command
	Leader     string `json:"leader,omitempty"`      // node id; "" if it knows none
	LeaderName string `json:"leader_name,omitempty"` // the leader's name
}

// Query asks a node for a list that only it has, such as its viewers.
type Query struct {
	Kind string          `json:"kind"`
	Args json.RawMessage `json:"args,omitempty"`
}
