package origin

import (
	"context"

	"tmms/origin/session"
)

// FollowApps ends the streams whose app is taken out of the config, with their
// publishers, and no others, until ctx ends; then it returns nil.
func (o *Origin) FollowApps(ctx context.Context, configs session.Configs) error {
	o.sessions.FollowApps(ctx, configs)
	return nil
}
