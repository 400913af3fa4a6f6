package node

import "context"

// followApps ends the streams of apps that are taken out of the config.
func (n *Node) followApps(ctx context.Context) error { return n.origin.FollowApps(ctx, n.group) }
