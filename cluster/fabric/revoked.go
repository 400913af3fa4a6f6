package fabric

import (
	"context"

	replicated "tmms/cluster/state"
)

// Revocations tells which certificates are not good any more: a *member.View.
type Revocations interface {
	// WatchRevocations gives the list, and a channel that is closed when it changes.
	WatchRevocations() (*replicated.Revocations, <-chan struct{})
}

// FollowRevocations refuses who shows a certificate that is revoked, and ends
// the sessions with its holder as soon as it is, until ctx ends. told gets each
// list once it is in force; nil: nobody does.
func (f *Fabric) FollowRevocations(ctx context.Context, from Revocations, told func(*replicated.Revocations)) {
	for {
		list, next := from.WatchRevocations()
		f.id.Revoke(list)
		f.Recheck()
		if told != nil {
			told(list)
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}
