package node

import (
	"context"

	"tmms/cluster/consensus"
	"tmms/cluster/state"
	"tmms/media"
)

// group is the node's part in the cluster's state: a *consensus.Node with a
// vote, a *replica.Node without.
type group interface {
	Run(ctx context.Context) error
	Ready() <-chan struct{}

	ID() string
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
	Revoke(ctx context.Context, r consensus.Revocation) (state.RevokeResult, error)

	Claim(ctx context.Context, key media.StreamKey) (state.Placement, error)
	Release(ctx context.Context, key media.StreamKey, epoch uint64) error
	Resume(ctx context.Context, key media.StreamKey, epoch uint64) (state.Placement, error)
	SetStandby(ctx context.Context, c state.SetStandby) (state.Placement, error)
	Move(ctx context.Context, key media.StreamKey, epoch uint64, to string) (state.Placement, error)
	SetConfig(ctx context.Context, base uint64, doc *state.Document, by string) (uint64, error)
	UpsertNode(ctx context.Context, node state.Node) error
	SetDrain(ctx context.Context, node string, on bool, by string) error
	Disown(ctx context.Context) error
	Leave(ctx context.Context) error
}
