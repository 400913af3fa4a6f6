package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
)

// Config bounds the streams of a node.
type Config struct {
	// MaxStreams bounds the streams published here at once, those in the grace included.
	MaxStreams int
	// ClaimTimeout bounds one claim of a stream.
	ClaimTimeout time.Duration
	// ReleaseTimeout bounds one attempt to give a placement back.
	ReleaseTimeout time.Duration
}

// DefaultConfig gives the defaults.
func DefaultConfig() Config {
	return Config{
		MaxStreams:     media.MaxStreamsPerNode,
		ClaimTimeout:   5 * time.Second,
		ReleaseTimeout: 5 * time.Second,
	}
}

// Validate gives every fault of c.
func (c Config) Validate() error {
	var errs []error
	if c.MaxStreams < 1 || c.MaxStreams > media.MaxStreamsPerNode {
		errs = append(errs, fmt.Errorf("session: MaxStreams is %d, the limits are 1 and %d",
			c.MaxStreams, media.MaxStreamsPerNode))
	}
	if c.ClaimTimeout <= 0 {
		errs = append(errs, fmt.Errorf("session: ClaimTimeout is %v, it must be positive", c.ClaimTimeout))
	}
	if c.ReleaseTimeout <= 0 {
		errs = append(errs, fmt.Errorf("session: ReleaseTimeout is %v, it must be positive", c.ReleaseTimeout))
	}
	return errors.Join(errs...)
}

// Claimer decides in the cluster who owns a stream.
type Claimer interface {
	// Claim makes this node the owner of key, in a new epoch.
	Claim(ctx context.Context, key media.StreamKey) (state.Placement, error)
	// Release ends the ownership with that epoch; a later one is left alone.
	Release(ctx context.Context, key media.StreamKey, epoch uint64) error
	// Resume takes back a stream that this node owned in that epoch and lost,
	// unless somebody else has claimed it since.
	Resume(ctx context.Context, key media.StreamKey, epoch uint64) (state.Placement, error)
	// Disown takes this node's name off all of its streams, which go to their standbys
	// in sync, or keep their clocks for another owner.
	Disown(ctx context.Context) error
	// SetStandby says that a stream's standby is in sync, or takes it out.
	SetStandby(ctx context.Context, c state.SetStandby) (state.Placement, error)
	// Move gives a stream, of that epoch, to its standby in sync, in a new epoch.
	Move(ctx context.Context, key media.StreamKey, epoch uint64, to string) (state.Placement, error)
}

// Placements is this node's copy of who owns the streams.
type Placements interface {
	Placement(key media.StreamKey) (state.Placement, bool)
	// PlacedAt lists the streams that the node owns or is the standby of, in no order.
	PlacedAt(node string) []state.PlacedStream
	// WatchPlacements is closed at the next change of any placement.
	WatchPlacements() <-chan struct{}
}

// Deps are what a registry works with; all fields but those of a cluster are needed.
type Deps struct {
	Hub    *relay.Hub
	Claims Claimer
	Log    *slog.Logger
	Now    func() time.Time

	// Of a cluster.
	Placements Placements      // nil: nobody else claims the streams of this node
	Node       string          // this node's id
	Started    <-chan struct{} // closed once no stream is of an earlier process; nil: at once
	// App finds the app of a stream by its canonical key.
	App func(key media.StreamKey) (*state.App, error)
}
