package consensus

import (
	"time"

	"tmms/media"
)

// leases is the leader's table of who renewed when. Every node holds a lease
// from the beginning, since a new leader does not know of earlier renewals. It
// has no clock and no lock of its own.
type leases struct {
	term    time.Duration
	granted time.Time            // when all were given one
	renewed map[string]time.Time // by node id
}

func newLeases(term time.Duration, now time.Time) *leases {
	return &leases{term: term, granted: now, renewed: map[string]time.Time{}}
}

// renew notes a sign of life; false means that the table is full.
func (l *leases) renew(id string, now time.Time) bool {
	if _, known := l.renewed[id]; !known && len(l.renewed) >= media.MaxNodes {
		return false
	}
	l.renewed[id] = now
	return true
}

// grantAll gives every node a full term again.
func (l *leases) grantAll(now time.Time) { l.granted = now }

// age is the time since the last sign of life.
func (l *leases) age(id string, now time.Time) time.Duration {
	last := l.granted
	if at, ok := l.renewed[id]; ok && at.After(last) {
		last = at
	}
	return now.Sub(last)
}

func (l *leases) lapsed(id string, now time.Time) bool { return l.age(id, now) > l.term }

// forget removes nodes that were not heard of for so long.
func (l *leases) forget(after time.Duration, now time.Time) {
	for id := range l.renewed {
		if l.age(id, now) > after {
			delete(l.renewed, id)
		}
	}
}
