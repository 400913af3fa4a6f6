package relay

import (
	"time"

	"tmms/cluster/pki"
	"tmms/media"
)

// trial says how a subscription is with regard to another one.
type trial int

const (
	trialNone   trial = iota // it is the first
	trialMove                // another one delivers, this one would be better
	trialUrgent              // another one is silent
)

// direct gives a subscription at the owner, nil for one at a shield.
func (in *intake) direct() *intake {
	if in.shield {
		return nil
	}
	return in
}

// role is what the source's certificate must say: only an owner can raise an epoch.
func (in *intake) role() string {
	if in.shield {
		return pki.RoleEdge
	}
	return pki.RoleOrigin
}

// speak notes that the source delivers. pull.mu is held.
func (in *intake) speak() {
	if !in.spoken {
		in.spoken, in.since = true, time.Now()
		in.pull.poke()
	}
}

// strict tells that a source which can't go on exactly where the pull is must not
// be taken, because there are others.
func (in *intake) strict() bool { return in.shield || in.trial && !in.urgent }

// confirm tells whether packets of an epoch above the subscription's may be taken:
// a shield goes on over a change of the owner once the placement here says so too.
// pull.mu is held.
func (in *intake) confirm(epoch uint64) bool {
	if in.shield {
		if p, ok := in.pull.puller.cluster.Placement(in.pull.feed.key); ok && p.Epoch == epoch {
			in.highest = epoch
		}
	}
	return epoch <= in.highest
}

// pass notes how far the source has got. pull.mu is held.
func (in *intake) pass(id media.PacketID) {
	if in.spoken && id.Group != in.at && !in.crossed {
		in.crossed = true
		in.pull.poke()
	}
	in.at = id.Group
	in.speak()
}
