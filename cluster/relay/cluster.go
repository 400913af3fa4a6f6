package relay

import (
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/state"
	"tmms/media"
)

// Cluster is what the relay knows of the cluster: this node's copy of it.
type Cluster interface {
	Placement(key media.StreamKey) (state.Placement, bool)
	// WatchPlacements is closed at the next change of any placement or node.
	WatchPlacements() <-chan struct{}
	Node(id string) (state.Node, bool)
	ID() string
}

// Deps are what both ends of the relay work with.
type Deps struct {
	Log        *slog.Logger          // required
	Registerer prometheus.Registerer // nil: no metrics are kept
}

func (d Deps) validate() error {
	if d.Log == nil {
		return errors.New("relay: no logger")
	}
	return nil
}

// fabricAddress is the key of a node's fabric address among its addresses.
const fabricAddress = "fabric"

// Times of the relay.
const (
	// sendTick is how often a source looks what it has to send; packets are
	// coalesced that long.
	sendTick = 15 * time.Millisecond
	// idleMark is how long a source sends nothing before it says that it lives.
	idleMark = 100 * time.Millisecond
	// placementPause is the least time between two looks at all placements.
	placementPause = 20 * time.Millisecond
)
