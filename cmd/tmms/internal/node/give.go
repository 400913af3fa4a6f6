package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"tmms/cluster/control"
	"tmms/cluster/fabric"
	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/origin/session"
)

// giveQuery is the kind of the request that an origin give a stream to its standby,
// giveArgs what goes with it. A node of an earlier release does not know it.
const giveQuery = "give"

type giveArgs struct {
	Key   state.Key `json:"key"`
	Epoch uint64    `json:"epoch"`
}

// giveAway has the owner of a stream give it to its standby.
func (n *Node) giveAway(ctx context.Context, owner string, key media.StreamKey, epoch uint64) error {
	if owner == n.group.ID() {
		return n.give(ctx, key, epoch)
	}
	d, ok := n.group.Node(owner)
	if !ok || d.Addresses["fabric"] == "" {
		return fmt.Errorf("%w: %q", errNoSuchNode, owner)
	}
	args, err := json.Marshal(giveArgs{Key: state.Key(key), Epoch: epoch})
	if err != nil {
		return err
	}
	to := fabric.Target{Name: d.Name, Addr: d.Addresses["fabric"]}
	_, err = n.backbone.control.Query(ctx, to, control.Query{Kind: giveQuery, Args: args})
	return err
}

// answerGive gives a stream of this node to its standby. Only origins may ask for it:
// one of them leads.
func (n *Node) answerGive(ctx context.Context, from pki.Peer, args json.RawMessage) (json.RawMessage, error) {
	asked, err := decodeArgs[giveArgs](args)
	if err != nil {
		return nil, err
	}
	if !from.Has(pki.RoleOrigin) {
		return nil, fmt.Errorf("%w: %s, whose roles are %v, may not have streams moved", member.ErrForbidden,
			from.Name, slices.Clone(from.Roles))
	}
	if err = n.give(ctx, media.StreamKey(asked.Key), asked.Epoch); err != nil {
		return nil, err
	}
	return json.Marshal(struct{}{})
}

func (n *Node) give(ctx context.Context, key media.StreamKey, epoch uint64) error {
	if n.origin == nil {
		return fmt.Errorf("%s: %w: this node is no origin", key, session.ErrKept)
	}
	return n.origin.GiveAway(ctx, key, epoch)
}
