package timeline

import "tmms/media"

// place finds the base that a frame of the track belongs to, and its time
// there. ok is false if there is none: the frame is a discontinuity.
func (t *Timeline) place(tr *track, raw uint32) (dts media.Timestamp, ok bool) {
	if t.fresh {
		return 0, false
	}
	at, ok := t.placeOwn(tr, raw)
	miss := t.miss(tr, at)
	// A base that another track has made since: taken if it fits clearly better.
	for gen := t.gen; gen > max(tr.base.gen, t.floor) && t.gen-gen < numBases; gen-- {
		b := t.bases[gen%numBases]
		if c := t.at(b, raw); t.joins(tr, c) && (!ok || t.miss(tr, c)+t.backward < miss) {
			tr.base = b
			return c, true
		}
	}
	// The master's, which may be older than one that this track has made of a
	// glitch: taken unless it fits clearly worse.
	if m := t.master().base; m.gen > t.floor && m.gen != tr.base.gen && tr != t.master() {
		if c := t.at(m, raw); t.joins(tr, c) && (!ok || t.miss(tr, c) <= miss+t.backward) {
			tr.base = m
			return c, true
		}
	}
	if !ok && tr.base.gen > t.floor {
		t.pace.observe(at - t.last)
	}
	return at, ok
}

// placeOwn tries the base that the track is on.
func (t *Timeline) placeOwn(tr *track, raw uint32) (dts media.Timestamp, ok bool) {
	if tr.base.gen <= t.floor {
		return 0, false
	}
	back := t.backward
	if tr.typ == media.TypeAudio {
		back *= 2 // where video only just waits, audio must not cut
	}
	dts = t.at(tr.base, raw)
	return dts, dts >= tr.last-back && dts-t.last <= t.limit(tr, dts-t.last)
}

// limit is the longest step forward that is a gap rather than a jump. The
// pace is asked only about a step that needs it.
func (t *Timeline) limit(tr *track, step media.Timestamp) media.Timestamp {
	switch {
	case step <= t.forward:
		return t.forward
	case tr.typ == media.TypeVideo && !t.audio && !t.pace.known():
		return max(t.forward, sparse)
	}
	return max(t.forward, paceFactor*t.pace.regular())
}

// at is the stream time of raw on b: of those that are equal modulo 2^32 the
// nearest to the last.
func (t *Timeline) at(b base, raw uint32) media.Timestamp {
	return t.last + media.Timestamp(int32(raw+b.offset-uint32(t.last)))
}

// joins says that a track may move to a base that puts its frame at c.
func (t *Timeline) joins(tr *track, c media.Timestamp) bool {
	low := t.last
	if tr.base.gen > t.floor {
		low = min(low, tr.last)
	}
	return c >= low-skew && c <= t.last+t.forward
}

// miss is how far c is from where the track's next frame is expected.
func (t *Timeline) miss(tr *track, c media.Timestamp) media.Timestamp {
	low := tr.last + tr.frame()
	if tr.base.gen <= t.floor {
		low = t.last
	}
	high := low
	if t.last-tr.last > skew { // silent for some time: it may go on anywhere up to now
		high = max(low, t.last)
	}
	return max(low-c, c-high, 0)
}

// rebase makes a new base, which puts raw one frame after all that is out.
func (t *Timeline) rebase(tr *track, raw uint32) media.Timestamp {
	dts := t.start
	if t.begun {
		dts = t.next(tr)
	}
	t.gen++
	tr.base = base{gen: t.gen, offset: uint32(dts) - raw}
	t.bases[t.gen%numBases] = tr.base
	t.begun, t.fresh = true, false
	return dts
}
