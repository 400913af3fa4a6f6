package relay

import (
	"sync/atomic"
	"time"
)

// segmentBudget bounds the segments that all pulls of a node hold. Those behind
// the playlists may fill three quarters of it and are dropped first, so that
// playlists go on. It is safe for concurrent use.
type segmentBudget struct {
	// Set at construction.
	limit int64 // bytes

	held atomic.Int64 // bytes
	shed atomic.Int64 // segments that had no room, or were dropped for others

	trimAt atomic.Int64 // unix ns before which all pulls are not looked at again
}

// forBehind is what segments behind the playlists may fill.
func (b *segmentBudget) forBehind() int64 { return b.limit / 4 * 3 }

// take asks for room for n bytes; behind says that the segment is not listed.
func (b *segmentBudget) take(n int, behind bool) bool {
	limit := b.limit
	if behind {
		limit = b.forBehind()
	}
	if b.held.Add(int64(n)) > limit {
		b.held.Add(-int64(n))
		return false
	}
	return true
}

// give gives n bytes back.
func (b *segmentBudget) give(n int) { b.held.Add(-int64(n)) }

// trimPause is the least time to the next look at all pulls for segments to drop,
// after one that has not found enough.
const trimPause = 100 * time.Millisecond

// mayTrim tells that a look at all pulls may find something to drop.
func (b *segmentBudget) mayTrim(now time.Time) bool { return now.UnixNano() >= b.trimAt.Load() }

// trimmed notes that all pulls were looked at.
func (b *segmentBudget) trimmed(now time.Time) {
	if b.tight() {
		b.trimAt.Store(now.Add(trimPause).UnixNano())
	}
}

// tight tells that what is behind the playlists has to go.
func (b *segmentBudget) tight() bool { return b.held.Load() > b.forBehind() }
