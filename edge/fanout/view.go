package fanout

import (
	"slices"
	"sync"
	"sync/atomic"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/bytelog"
)

// viewKey names a view among the things derived from a life.
type viewKey struct{ format Format }

// markGap is the least stream time between two marks.
const markGap media.Timestamp = 100

// mark pairs a place to join at in the FLV log with its offset in the view.
type mark struct {
	relay.Join // Configs is nil where they aren't known for sure
	off        int64
	breaks     []byte // TS: for a viewer that comes from somewhere else
}

// view is a life's log in one format, shared by the loops of a node. For FLV it
// is the log itself; else it is a log of its own, written by whichever loop
// flushes first, in step with the FLV log.
type view struct {
	// Set at construction.
	format Format
	live   *relay.Live
	log    *bytelog.Log

	cached atomic.Pointer[prefix]
	marks  atomic.Pointer[[]mark] // derived views only; oldest first, never empty

	resets atomic.Int64 // times that the FLV log overtook the view

	mu    sync.Mutex     // taken with TryLock only
	src   bytelog.Reader // guarded by mu: the next entry to convert
	last  mark           // guarded by mu: the newest group seen
	frame bool           // guarded by mu: that group's first frame was seen
	needs needs          // RTMP only, as the others need no announcement
	ts    *ts            // guarded by mu but for ts.empty: nil but for TS
}

// openView returns the life's view in a format; one that does not exist begins
// at the join point j. Each openView needs one live.Drop(viewKey{f}).
func openView(live *relay.Live, f Format, j relay.Join) *view {
	return live.Derive(viewKey{f}, func() any { return newView(live, f, j) }).(*view)
}

func newView(live *relay.Live, f Format, j relay.Join) *view {
	v := &view{format: f, live: live, log: live.Log()}
	if f != FLV {
		v.log = bytelog.New()
		if f == TS {
			v.ts = &ts{}
		}
		v.start(j)
	}
	return v
}

// start makes the FLV log's join point j the view's next entry.
func (v *view) start(j relay.Join) {
	v.src = v.live.Log().Reader(j.Offset)
	if v.format == RTMP {
		v.needs.begin(j)
	}
	var breaks []byte
	if v.ts != nil {
		v.ts.begin(v, j)
		breaks = v.ts.live.Breaks(nil)
	}
	v.last = mark{Join: j, off: v.log.Head(), breaks: breaks}
	v.frame = true
	v.marks.Store(&[]mark{v.last})
}

// advance brings the view up to the FLV log's head, unless another loop is just
// doing it; current tells that everything that was in the FLV log is now in it.
func (v *view) advance() (current bool) {
	if v.format == FLV {
		return true
	}
	if !v.mu.TryLock() {
		return false
	}
	defer v.mu.Unlock()
	ended := v.live.State() == relay.StateEnded // what is in the log after this is all
	for {
		e, raw, ok := v.src.Next()
		switch {
		case ok:
			v.append(&e, raw)
		case v.src.Overtaken():
			if !v.reset() {
				return v.live.State() == relay.StateEnded
			}
		default:
			if v.ts != nil && ended {
				v.ts.flush(v)
			}
			v.retire()
			return true
		}
	}
}

func (v *view) append(e *bytelog.Entry, raw []byte) {
	if e.ID.Epoch != v.last.Epoch || e.ID.Group != v.last.Group {
		v.last.Epoch, v.last.Group = e.ID.Epoch, e.ID.Group
		v.frame = false
	}
	if !v.frame && (e.Kind == media.KindKey || e.Kind == media.KindAudio || e.Kind == media.KindDelta) {
		v.frame = true
		if v.ts != nil {
			v.ts.group(v, e)
		}
		v.mark(e)
	}
	if v.ts != nil {
		v.ts.append(v, e, raw)
		return
	}
	if v.format == RTMP {
		v.needs.note(e, raw)
	}
	b := v.log.Reserve(v.format.size(e, raw))
	v.format.append(b[:0], e, raw)
	v.log.Commit(bytelog.Entry{
		ID: e.ID, DTS: e.DTS, Ingested: e.Ingested, Config: e.Config, Run: e.Run,
		Type: e.Type, Kind: e.Kind, Codec: e.Codec, Track: e.Track,
	})
}

// mark publishes e, the first frame of its group, as a place to join at; the
// rule is that of the life's own join points.
func (v *view) mark(e *bytelog.Entry) {
	old := *v.marks.Load()
	if newest := old[len(old)-1]; newest.Epoch == e.ID.Epoch && e.DTS-newest.DTS < markGap {
		return
	}
	v.last.Offset, v.last.off, v.last.DTS = e.Off, v.log.Head(), e.DTS
	v.last.breaks = nil
	if v.ts != nil {
		v.last.breaks = v.ts.live.Breaks(nil)
	}
	v.last.Configs = v.live.Configs()
	if v.last.Configs != nil && v.last.Configs.Version != e.Config {
		v.last.Configs = nil
	}
	marks := append(slices.Clone(old), v.last)
	v.marks.Store(&marks)
}

// retire drops what the FLV log has dropped.
func (v *view) retire() {
	tail := v.live.Log().Tail()
	marks := *v.marks.Load()
	n := 0
	for n+1 < len(marks) && marks[n].Offset < tail {
		n++
	}
	if n > 0 {
		rest := slices.Clone(marks[n:])
		v.marks.Store(&rest)
	}
	before := marks[n].off
	if marks[n].Offset < tail { // inside a group without an end: keep as much as the FLV log does
		before = v.log.Head() - (v.live.Log().Head() - tail)
	}
	v.log.Retire(before)
}

// reset goes on at the newest group after no loop advanced the view for so long
// that the FLV log has dropped what comes next: the view's viewers skip there,
// with that group's configs in line.
func (v *view) reset() bool {
	j, ok := v.live.NewestGroup()
	if !ok || j.Offset < v.live.Log().Tail() {
		return false
	}
	v.resets.Add(1)
	v.start(j)
	b := appendConfigs(nil, v.format, j)
	if len(b) == 0 {
		return true
	}
	if v.format == WebSocket {
		b = append(appendWSHeader(nil, len(b)), b...)
	}
	copy(v.log.Reserve(len(b)), b)
	v.log.Commit(bytelog.Entry{DTS: j.DTS})
	return true
}

// place is where in the view a viewer starts that would join at j: there, or at
// the next group that the view has (returned as j2). ok = false while there is none.
func (v *view) place(j relay.Join) (off int64, j2 relay.Join, ok bool) {
	if v.format == FLV {
		return j.Offset, j, true
	}
	for _, m := range *v.marks.Load() {
		switch {
		case m.Offset < j.Offset || m.off < v.log.Tail():
		case m.Offset == j.Offset:
			return m.off, j, true
		case m.Configs != nil:
			return m.off, m.Join, true
		}
	}
	return 0, j, false
}

// newest is the offset of the newest group's first frame.
func (v *view) newest() int64 {
	if v.format == FLV {
		j, _ := v.live.NewestGroup()
		return j.Offset
	}
	marks := *v.marks.Load()
	return marks[len(marks)-1].off
}
