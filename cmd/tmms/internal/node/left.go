package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"tmms/cluster/admin"
	"tmms/cluster/control"
	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/state"
)

// drains are the nodes that are being drained. It implements admin.Drains.
type drains struct{ n *Node }

// Drains implements admin.Drains.
func (d drains) Drains() []state.Drain { return d.n.group.Drains() }

// SetDrain implements admin.Drains.
func (d drains) SetDrain(ctx context.Context, nodeID string, on bool, by string) error {
	return d.n.group.SetDrain(ctx, nodeID, on, by)
}

// Left implements admin.Drains.
func (d drains) Left(ctx context.Context, nodeID string, release bool) (left admin.Left, err error) {
	if nodeID == d.n.group.ID() {
		left = d.n.left()
		if release {
			err = d.n.release(ctx)
		}
	} else {
		left, err = d.n.askLeft(ctx, nodeID, release)
	}
	left.Streams, left.Standbys = 0, 0
	for _, p := range d.n.group.Placements() {
		switch nodeID {
		case p.Owner:
			left.Streams++
		case p.Standby:
			left.Standbys++
		}
	}
	return left, err
}

// left is what is connected to this node.
func (n *Node) left() admin.Left {
	left := admin.Left{Viewers: map[string]int{}}
	if n.origin != nil {
		left.Publishers = int(n.origin.Publishers())
	}
	for _, v := range n.viewers() {
		left.Viewers[v.Proto]++
	}
	return left
}

// leftQuery is the kind of the question for what a node has left, leftArgs what
// goes with it.
const leftQuery = "left"

type leftArgs struct {
	Release bool `json:"release"` // end the streams of viewers over HTTP
}

// askLeft asks another node what is connected to it.
func (n *Node) askLeft(ctx context.Context, id string, release bool) (left admin.Left, err error) {
	d, ok := n.group.Node(id)
	if !ok || d.Addresses["fabric"] == "" {
		return left, fmt.Errorf("%w: %q", errNoSuchNode, id)
	}
	args, err := json.Marshal(leftArgs{Release: release})
	if err != nil {
		return left, err
	}
	to := fabric.Target{Name: d.Name, Addr: d.Addresses["fabric"]}
	answer, err := n.backbone.control.Query(ctx, to, control.Query{Kind: leftQuery, Args: args})
	if err == nil {
		err = json.Unmarshal(answer, &left)
	}
	return left, err
}

// answerLeft tells another node what is connected to this one. Only origins may
// send viewers away.
func (n *Node) answerLeft(ctx context.Context, from pki.Peer, args json.RawMessage) (json.RawMessage, error) {
	asked, err := decodeArgs[leftArgs](args)
	if err != nil {
		return nil, err
	}
	if asked.Release && !from.Has(pki.RoleOrigin) {
		return nil, fmt.Errorf("%w: %s, whose roles are %v, may not send viewers away", member.ErrForbidden,
			from.Name, slices.Clone(from.Roles))
	}
	left := n.left()
	if asked.Release {
		if err = n.release(ctx); err != nil {
			return nil, err
		}
	}
	return json.Marshal(left)
}
