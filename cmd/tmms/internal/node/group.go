package node

import (
	"context"

	"tmms/cluster/consensus"
	"tmms/cluster/member"
	"tmms/cluster/state"
	"tmms/media"
)

// group is the node's part in the cluster's state: a *consensus.Node with a
// vote, a *replica.Node without.
type group interface {
	Run(ctx context.Context) error
	Ready() <-chan struct{}

	ID() string
	ClusterID() string
	Config() *state.Config
	Watch() (*state.Config, <-chan struct{})
	WatchRevocations() (*state.Revocations, <-chan struct{})
	History() []state.Revision
	Placement(key media.StreamKey) (state.Placement, bool)
	Placements() []state.PlacedStream
	PlacedAt(node string) []state.PlacedStream
	StandbyOf(node string) []state.PlacedStream
	WatchPlacements() <-chan struct{}
	Draining(id string) bool
	Nodes() []state.Node
	Node(id string) (state.Node, bool)
	Drains() []state.Drain
	Leader() (id, name string, ok bool)
	ReadIndex(ctx context.Context) (uint64, error)
	Status(ctx context.Context) (consensus.Status, error)
	Join(ctx context.Context, name, address string) error
	Remove(ctx context.Context, nameOrID string) error
	Transfer(ctx context.Context, nameOrID string) (name string, err error)
	Snapshot(ctx context.Context) (consensus.SnapshotInfo, error)
	Backup() ([]byte, error)
	Restore(ctx context.Context, backup []byte, opt member.RestoreOptions) (member.Restored, error)
	FeatureLevel() int
	Levels(ctx context.Context) (consensus.Levels, error)
	RaiseLevel(ctx context.Context, level int) (consensus.Levels, error)
	Revoke(ctx context.Context, r consensus.Revocation) (state.RevokeResult, error)
	JoinTokens() []state.JoinToken
	JoinToken(id string) (state.JoinToken, bool)
	PutToken(ctx context.Context, t state.JoinToken, lifeMS int64) (state.JoinToken, error)
	UseToken(ctx context.Context, c state.UseToken) (state.JoinToken, error)
	DropToken(ctx context.Context, id string) error

	Claim(ctx context.Context, key media.StreamKey) (state.Placement, error)
	Release(ctx context.Context, key media.StreamKey, epoch uint64) error
	Resume(ctx context.Context, key media.StreamKey, epoch uint64) (state.Placement, error)
	SetStandby(ctx context.Context, c state.SetStandby) (state.Placement, error)
	Move(ctx context.Context, key media.StreamKey, epoch uint64, to string) (state.Placement, error)
	SetConfig(ctx context.Context, base uint64, doc *state.Document, by string) (uint64, error)
	PlanConfig(ctx context.Context, doc *state.Document) (*state.Document, error)
	UpsertNode(ctx context.Context, node state.Node) error
	SetDrain(ctx context.Context, node string, on bool, by string) error
	Disown(ctx context.Context) error
	Starting() bool
	Leave(ctx context.Context) error
}
