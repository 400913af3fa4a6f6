package relayend

import (
	"fmt"

	"tmms/cluster/state"
	"tmms/media"
)

// MaxStreams bounds the streams of a bench: what one session may subscribe to.
const MaxStreams = media.MaxSubscriptions

// Names of the two nodes, in their certificates and placements.
const (
	sourceName = "source"
	sinkName   = "sink"
)

// epoch is the ownership of all streams.
const epoch = 1

// view is the cluster's state as an end sees it: it never changes, and every
// stream belongs to the source.
type view struct {
	id     string
	source string // fabric address
}

func (v *view) ID() string { return v.id }

func (v *view) Placement(media.StreamKey) (state.Placement, bool) {
	return state.Placement{Epoch: epoch, Owner: sourceName}, true
}

func (v *view) WatchPlacements() <-chan struct{} { return nil }

func (v *view) Node(id string) (state.Node, bool) {
	if id != sourceName {
		return state.Node{}, false
	}
	return state.Node{ID: id, Name: id, Addresses: map[string]string{"fabric": v.source}}, true
}

func keyOf(stream int) media.StreamKey {
	return media.StreamKey{Domain: "default", App: "live", Stream: fmt.Sprintf("bench%d", stream)}
}
