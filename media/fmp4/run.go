package fmp4

import (
	"encoding/binary"
	"fmt"
	"math"

	"tmms/media"
)

// Sizes of a sample's entry in a trun box, in bytes: duration and size; of video
// flags and composition offset too.
const (
	audioSample = 8
	videoSample = 16
)

// keepBuffer is the largest buffer in bytes that is kept though the last
// fragment needed little of it: parts with a keyframe are much larger than others.
const keepBuffer = 1 << 20

// run gathers the samples of one track for a fragment. Its times are in ticks of
// the track's clock.
type run struct {
	codec *codec // nil: there is no such track
	entry int    // bytes of a sample in table

	table []byte // of the trun box, as it is written; the duration of the last sample is open
	data  []byte // of the samples, one behind the other
	first int64  // when the first sample is decoded
	last  int64  // when the last sample is decoded
	end   int64  // where the last fragment ended
}

// at is when a sample is decoded that should be at t: behind all that were
// before it. It says too whether the fragment takes one more.
func (r *run) at(t int64) (int64, error) {
	switch {
	case len(r.table) == 0:
		return max(t, r.end), nil
	case len(r.table) >= media.MaxFragmentSamples*r.entry:
		return 0, fmt.Errorf("%w: it has %d frames, which is the limit", ErrFull, len(r.table)/r.entry)
	case t-r.last > math.MaxUint32:
		return 0, fmt.Errorf("%w: %d ticks of nothing in it, the limit is %d", ErrFull, t-r.last, int64(math.MaxUint32))
	}
	return max(t, r.last+1), nil
}

// begin opens a sample of n bytes, which are at the end of data, at the time t
// that [run.at] gave; the one before ends there.
func (r *run) begin(t int64, n int) {
	if len(r.table) == 0 {
		r.first = t
	} else {
		r.close(t)
	}
	r.last = t
	r.table = append(r.table, 0, 0, 0, 0)
	r.table = binary.BigEndian.AppendUint32(r.table, uint32(n))
}

// close gives the last sample its duration.
func (r *run) close(end int64) {
	binary.BigEndian.PutUint32(r.table[len(r.table)-r.entry:], uint32(end-r.last))
}

// finish ends the last sample, if there is one, at end, or one tick behind its
// begin at least.
func (r *run) finish(end int64) {
	if len(r.table) == 0 {
		return
	}
	r.end = min(max(end, r.last+1), r.last+math.MaxUint32)
	r.close(r.end)
}

// reset forgets the samples.
func (r *run) reset() {
	r.table = emptied(r.table)
	r.data = emptied(r.data)
}

// emptied is b without its bytes; a large buffer that was hardly used is given up.
func emptied(b []byte) []byte {
	if cap(b) > keepBuffer && len(b) < cap(b)/4 {
		return nil
	}
	return b[:0]
}
