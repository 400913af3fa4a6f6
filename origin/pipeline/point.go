package pipeline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"tmms/media"
	"tmms/media/fmp4"
	"tmms/media/hls"
	"tmms/media/tsmux"
)

// pointVersion is what a point begins with; another one is not understood.
const pointVersion = 1

// ErrPoint refuses to go on with an index that does not tell how.
var ErrPoint = errors.New("pipeline: the index does not tell how to go on")

// point is what a pipeline knows when a segment begins: from there another one
// makes the same of the same packets. What else it needs is in the index. The
// numbers are those of the fields of the same names; 1 is true.
type point struct {
	known         int64 // a segment begins here; 0: it is to end here
	first         place // its first frame
	cut           int64 // the time of that
	start         int64 // not known: that it may not begin before
	program       int64 // unix nanoseconds
	discontinuity int64
	firstMSN      int64
	firstDTS      int64

	clockKnown, clockDTS, clockWall, newRun, runWall int64
	runBegun, runFirst                               int64

	video, audio trackPoint
	noTS         int64
	tsOpen       int64
	tsMetadata   int64
	ts           tsmux.State
	mp4          fmp4.State
}

// place is the identity of a packet.
type place struct{ epoch, group, index int64 }

func placeOf(id media.PacketID) place {
	return place{int64(id.Epoch), int64(id.Group), int64(id.Index)} //nolint:gosec // all 64 bits go there and back
}

func (p place) id() media.PacketID {
	return media.PacketID{Epoch: uint64(p.epoch), Group: uint64(p.group), Index: uint32(p.index)}
}

// trackPoint is what a point has of a track.
type trackPoint struct{ active, needKey, started, last, step, stepBefore int64 }

func (t *trackPoint) numbers() []*int64 {
	return []*int64{&t.active, &t.needKey, &t.started, &t.last, &t.step, &t.stepBefore}
}

// numbers lists the fields in their order on the wire.
func (pt *point) numbers() []*int64 {
	list := []*int64{
		&pt.known, &pt.first.epoch, &pt.first.group, &pt.first.index,
		&pt.cut, &pt.start, &pt.program, &pt.discontinuity, &pt.firstMSN, &pt.firstDTS,
		&pt.clockKnown, &pt.clockDTS, &pt.clockWall, &pt.newRun, &pt.runWall, &pt.runBegun, &pt.runFirst,
		&pt.noTS, &pt.tsOpen, &pt.tsMetadata,
	}
	list = append(append(list, pt.video.numbers()...), pt.audio.numbers()...)
	for i := range pt.ts.State {
		list = append(list, &pt.ts.State[i])
	}
	for i := range pt.mp4 {
		list = append(list, &pt.mp4[i])
	}
	return list
}

// encode gives the point: version | numbers, each a signed varint.
func (pt point) encode() []byte {
	b := []byte{pointVersion}
	pt.tsMetadata = number(pt.ts.Metadata)
	for _, n := range pt.numbers() {
		b = binary.AppendVarint(b, *n)
	}
	return b
}

// parsePoint reads a point. The error wraps [ErrPoint].
func parsePoint(b []byte) (pt point, err error) {
	if len(b) == 0 || b[0] != pointVersion || len(b) > media.MaxHLSResume {
		return point{}, fmt.Errorf("%w: %d bytes, the limit is %d, the version %d",
			ErrPoint, len(b), media.MaxHLSResume, pointVersion)
	}
	b = b[1:]
	for i, v := range pt.numbers() {
		n, size := binary.Varint(b)
		if size <= 0 {
			return point{}, fmt.Errorf("%w: it ends within number %d", ErrPoint, i)
		}
		*v, b = n, b[size:]
	}
	if len(b) > 0 {
		return point{}, fmt.Errorf("%w: %d bytes too many", ErrPoint, len(b))
	}
	pt.ts.Metadata = pt.tsMetadata != 0
	return pt, pt.check()
}

// maxPointTime bounds the stream times of a point, in ms: 4,000 years.
const maxPointTime = 1 << 37

func (pt *point) check() error {
	for _, v := range []int64{
		pt.cut, pt.start, pt.firstDTS, pt.clockDTS, pt.runFirst,
		pt.video.last, pt.video.step, pt.video.stepBefore, pt.audio.last, pt.audio.step, pt.audio.stepBefore,
	} {
		if v > maxPointTime || v < -maxPointTime {
			return fmt.Errorf("%w: a time of %d ms, the limit is %d", ErrPoint, v, int64(maxPointTime))
		}
	}
	for _, v := range []int64{
		pt.known, pt.discontinuity, pt.clockKnown, pt.newRun, pt.runBegun, pt.noTS, pt.tsOpen, pt.tsMetadata,
		pt.video.active, pt.video.needKey, pt.video.started, pt.audio.active, pt.audio.needKey, pt.audio.started,
	} {
		if v != 0 && v != 1 {
			return fmt.Errorf("%w: %d is neither 0 nor 1", ErrPoint, v)
		}
	}
	if pt.firstMSN < 0 {
		return fmt.Errorf("%w: the first segment is %d", ErrPoint, pt.firstMSN)
	}
	return nil
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// wall is a point's time in unix nanoseconds.
func wall(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// point notes where the pipeline stands before the next segment begins, while
// nothing is gathered; nil: it is not known how it does.
func (p *Pipeline) point(next *opening) point {
	c := &p.clock
	pt := point{
		firstMSN: int64(p.cfg.FirstMSN), firstDTS: int64(p.firstDTS), //nolint:gosec // a second, or somewhat more
		clockKnown: number(c.known), clockDTS: int64(c.dts), clockWall: wall(c.wall),
		newRun: number(c.newRun), runWall: wall(c.runWall),
		runBegun: number(p.run.begun), runFirst: int64(p.run.first),
		video: p.trackPoint(&p.video), audio: p.trackPoint(&p.audio), noTS: number(p.mux.noTS),
	}
	changed := p.changes()
	if p.mux.ts.Open() {
		pt.tsOpen, pt.ts = 1, p.mux.ts.State()
		if changed {
			pt.ts.State = pt.ts.State.Changed()
		}
	}
	if p.mux.mp4 != nil && !changed {
		pt.mp4 = p.mux.mp4.State()
	}
	if next == nil {
		pt.start = int64(p.floor)
		return pt
	}
	pt.known, pt.first, pt.cut, pt.start = 1, placeOf(next.frame.id), int64(next.frame.DTS), int64(next.start)
	pt.program = wall(c.at(next.start))
	pt.discontinuity = number(next.discontinuity || p.spliced(changed))
	return pt
}

func (p *Pipeline) trackPoint(tr *track) trackPoint {
	return trackPoint{
		active: number(p.wants(tr).Codec != media.CodecUnknown), needKey: number(tr.needKey),
		started: number(tr.started), last: int64(tr.last), step: int64(tr.steps[0]), stepBefore: int64(tr.steps[1]),
	}
}

// restore gives a track what a point has of it.
func (tr *track) restore(t *trackPoint) {
	active := t.active != 0
	tr.seen, tr.seenRun, tr.needKey, tr.started = active, active, t.needKey != 0, t.started != 0
	tr.last = media.Timestamp(t.last)
	tr.steps = [2]media.Timestamp{media.Timestamp(t.step), media.Timestamp(t.stepBefore)}
}

// restore gives the clock what a point has of it.
func (c *wallClock) restore(pt *point) {
	*c = wallClock{
		known: pt.clockKnown != 0, dts: media.Timestamp(pt.clockDTS), wall: time.Unix(0, pt.clockWall),
		newRun: pt.newRun != 0,
	}
	if pt.runWall != 0 {
		c.runWall = time.Unix(0, pt.runWall)
	}
}

// goesOn tells whether the segments of x have what a list needs to go on with them.
func goesOn(x *hls.Index) bool {
	if x.Ended || x.Target <= 0 || x.Listed == 0 || x.Listed > len(x.Segments) {
		return false
	}
	for _, s := range x.Segments {
		if !whole(s.TS) || !whole(s.MP4) {
			return false
		}
	}
	return x.Open == nil || len(x.Open.Parts) > 0 && x.Open.MP4 != nil && whole(x.Open.MP4) &&
		len(x.Open.Parts) == len(x.Open.MP4.Chunks)
}

// whole says that the bytes are there.
func whole(m *hls.Media) bool { return m == nil || len(m.Chunks) > 0 }
