package relay

import (
	"slices"

	"tmms/media"
)

// maxShifts bounds the epochs in a log whose times differ; an older one is long
// retired then.
const maxShifts = 16

// shift is by how much a log's clock is ahead of the stream's, from an epoch on.
type shift struct {
	epoch uint64
	ahead media.Timestamp
}

// Ahead is by how much the log's times are ahead of the stream's in the packets of
// an epoch, in ms: where the clock of an epoch is behind what readers of this node have
// had of the one before, it goes on for them all the same. Nobody but they sees it: on
// the way to other nodes, in what a writer is given, and in HLS there are the stream's times.
func (l *Live) Ahead(epoch uint64) (ahead media.Timestamp) {
	shifts := l.shifts.Load()
	if shifts == nil {
		return 0
	}
	for _, s := range *shifts {
		if s.epoch > epoch {
			break
		}
		ahead = s.ahead
	}
	return ahead
}

// Reached is the highest decoding time in the log, by the stream's clock.
func (l *Live) Reached() media.Timestamp { return l.LastDTS() - l.Ahead(l.Epoch()) }

// shift makes the log's clock ahead of the stream's from an epoch on, which has no
// packet in it yet and is not older than those that have.
func (w *Writer) shift(epoch uint64, ahead media.Timestamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var shifts []shift
	if old := w.live.shifts.Load(); old != nil {
		shifts = slices.Clone(*old)
	}
	shifts = append(shifts, shift{epoch, ahead})
	if n := len(shifts) - maxShifts; n > 0 {
		shifts = slices.Delete(shifts, 0, n)
	}
	w.live.shifts.Store(&shifts)
}
