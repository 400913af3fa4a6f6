package relay

import (
	"tmms/media"
	"tmms/media/relaywire"
)

// Reported gives how far the readers at other nodes had got in the stream when
// they came to this node, over all of them: the highest decoding time of the newest
// epoch that they have had, and of HLS a segment number above all that they have seen
// and the discontinuities before it; 0 if nobody had anything. A new owner of the
// stream goes on behind it.
func (l *Live) Reported() (dts media.Timestamp, nextMSN, discontinuities uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reported.DTS, l.reported.MSN, l.reported.Discontinuities
}

// report notes how far a reader had got.
func (l *Live) report(p relaywire.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch { // each owner may have had a clock of its own
	case p.ID.Epoch > l.reported.ID.Epoch:
		l.reported.ID, l.reported.DTS = p.ID, p.DTS
	case p.ID.Epoch == l.reported.ID.Epoch:
		l.reported.DTS = max(l.reported.DTS, p.DTS)
	}
	if p.SegmentEpoch != 0 && p.SegmentEpoch < l.Epoch() {
		next := p.MSN + 1
		if p.Open {
			next++
		}
		l.reported.MSN = max(l.reported.MSN, next)
		l.reported.Discontinuities = max(l.reported.Discontinuities, p.Discontinuities)
	}
}
