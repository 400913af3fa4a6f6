package relay

import (
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/placement"
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

// Members are the nodes of the cluster and how they are. Its methods are called
// from any goroutine.
type Members interface {
	// Members lists them, this node included.
	Members() []placement.Member
	// Changed is closed at the next change of the members; take it before reading them.
	Changed() <-chan struct{}
}

// Deps are what both ends of the relay work with.
type Deps struct {
	Log        *slog.Logger          // required
	Registerer prometheus.Registerer // nil: no metrics are kept
	// Members tells a puller who else pulls; nil: every stream comes from its owner.
	Members Members
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
	// busyTick is the same in a session of busySession subscriptions or more, where
	// wake-ups are what costs most.
	busyTick    = 20 * time.Millisecond
	busySession = 100
	// idleMark is how long a source sends nothing before it says that it lives.
	idleMark = 100 * time.Millisecond
	// hedgeAfter is how long a shield may be silent before another one is asked too,
	// and its owner before the shield is silent too: four idle marks.
	hedgeAfter = 4 * idleMark
	// placementPause is the least time between two looks at all placements.
	placementPause = 20 * time.Millisecond
)
