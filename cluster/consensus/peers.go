package consensus

import (
	"cmp"
	"context"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/state"
)

// Why the cluster does not do what it is asked; the same values as in package
// member.
var (
	ErrNotLeader   = member.ErrNotLeader
	ErrUncertain   = member.ErrUncertain
	ErrStopped     = member.ErrStopped
	ErrLeaseLapsed = member.ErrLeaseLapsed
	ErrForbidden   = member.ErrForbidden
	ErrInvalid     = member.ErrInvalid
	ErrLevel       = member.ErrLevel
)

// Peers asks other nodes over their control connections. All but Hello go to
// the leader, as far as it is known, and are not tried again; their errors are
// those of [member.Attempt].
type Peers interface {
	// Hello asks a node who it is.
	Hello(ctx context.Context, to fabric.Target) (Hello, error)
	// Propose asks for a command.
	Propose(ctx context.Context, c state.Command) (index uint64, result any, err error)
	// ReadIndex asks for the index of the last command committed.
	ReadIndex(ctx context.Context) (uint64, error)
	// Renew renews the lease of this node; starting: see [member.Lease.Starting].
	Renew(ctx context.Context, id string, starting bool) error
	// Join and Remove change the raft group.
	Join(ctx context.Context, name, address string) error
	Remove(ctx context.Context, nameOrID string) error
	// Revoke asks for certificates to be taken out of use.
	Revoke(ctx context.Context, r Revocation) (state.RevokeResult, error)
	// Transfer asks for another leader.
	Transfer(ctx context.Context, nameOrID string) (name string, err error)
	// Level asks for the feature levels of all nodes; if level is not 0, for the
	// cluster to be raised to it.
	Level(ctx context.Context, level int) (Levels, error)
	// Status asks for the raft group.
	Status(ctx context.Context) (Status, error)
}

// Hello is what a node says of itself.
type Hello struct {
	ID            string  `json:"id"`
	Name          string  `json:"name"`
	Version       string  `json:"version,omitempty"`
	CAFingerprint string  `json:"ca_fingerprint"`
	Voters        []Voter `json:"voters"`               // of its config, sorted
	HasState      bool    `json:"has_state"`            // raft has written something here
	ClusterID     string  `json:"cluster_id,omitempty"` // "" if not known yet
	Applied       uint64  `json:"applied"`              // index of the last command applied
	Serial        string  `json:"serial,omitempty"`     // of its certificate
	Level         int     `json:"level,omitempty"`      // the feature level that it knows
	// ClusterLevel is the cluster's feature level as far as the node has it: a release
	// that does not know it need not ask to join.
	ClusterLevel int `json:"cluster_level,omitempty"`
	// Rejoins says that it had state and has lost it: it may be added, but does not
	// begin a group.
	Rejoins bool `json:"rejoins,omitempty"`
	// Trouble says why it takes no part in raft now, though it runs.
	Trouble string `json:"trouble,omitempty"`
	// Slow says that its disk is slow, and that it had better not lead.
	Slow bool `json:"slow,omitempty"`
}

// Status is the raft group as one of its members knows it.
type Status struct {
	ClusterID string   `json:"cluster_id"`
	Leader    string   `json:"leader"`          // node id; "" if not known
	By        string   `json:"by"`              // node id of who says this
	Term      uint64   `json:"term"`            // raft's
	Committed uint64   `json:"committed"`       // raft index
	LastIndex uint64   `json:"last_index"`      // raft index
	Level     int      `json:"level,omitempty"` // the cluster's feature level
	Servers   []Server `json:"servers"`
	// Trouble says why the node that says this can't take part in the group now.
	Trouble string `json:"trouble,omitempty"`
}

// Server is a member of the raft group.
type Server struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address,omitempty"` // of its fabric port, if known
	Voter   bool   `json:"voter"`             // else it is still catching up
	Leader  bool   `json:"leader"`
	// RenewedAgo is the age of its lease's last renewal; only the leader knows.
	RenewedAgo time.Duration `json:"renewed_ago,omitempty"`
}

func compareVoters(a, b Voter) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Address, b.Address))
}
