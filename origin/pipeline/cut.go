package pipeline

import (
	"errors"
	"fmt"
	"time"

	"tmms/media"
	"tmms/media/fmp4"
)

// verdict is what becomes of a frame.
type verdict uint8

const (
	keep    verdict = iota // into the open segment
	drop                   // nowhere
	join                   // into the open segment, after the program was changed in it
	cut                    // into a new segment
	hole                   // into a new segment, after a hole in the stream
	restart                // into a new segment that replaces the open one
)

const (
	// earlyCut is how much before the target a keyframe may come: timestamps are
	// rounded, and a group of just the target is the usual case.
	earlyCut media.Timestamp = 100
	// trackSkew is how far audio may be ahead of video in the log: video is
	// cut by so much earlier, so that a forced cut comes before a video frame.
	trackSkew media.Timestamp = 250
	// shortest is the shortest segment that is worth a name.
	shortest media.Timestamp = 100
	// roundUp is what a duration may exceed whole seconds by and still be
	// rounded down (RFC 8216 section 4.3.3.1).
	roundUp media.Timestamp = 499
)

// ms converts a whole number of milliseconds.
func ms(d time.Duration) media.Timestamp { return media.Timestamp(d.Milliseconds()) }

// decide says where a frame goes.
func (p *Pipeline) decide(tr *track, f *frame) verdict {
	if p.open == nil {
		if tr.typ == media.TypeAudio && p.wants(&p.video).Codec != media.CodecUnknown {
			return drop // the segment starts with the keyframe to come
		}
		return cut
	}
	d := f.DTS - p.open.start
	switch {
	case p.limit > 0 && d > p.limit:
		return hole
	case !tr.active.same(p.wants(tr).Track):
		return p.decideChange(tr, d)
	case p.due(tr, f, d), p.overdue(tr, d):
		return cut
	case max(p.open.ts.size, p.open.mp4.size+p.mux.gathered())+len(f.Payload) > media.MaxHLSSegmentBytes:
		return p.force(d)
	}
	return keep
}

// decideChange is for a frame of a track that the muxer does not have, or not
// in this configuration.
func (p *Pipeline) decideChange(tr *track, d media.Timestamp) verdict {
	switch {
	case tr.typ == media.TypeAudio && tr.active.Codec == media.CodecUnknown:
		return drop // late audio waits for the next cut
	case p.open.discontinuity && tr.inSegment == 0 && p.joinable():
		return join // the same splice: its other header came later
	}
	return p.force(d)
}

// joinable says that the open segment can take another program.
func (p *Pipeline) joinable() bool {
	return p.mux.fits(p.wants(&p.video).Track, p.wants(&p.audio).Track) && len(p.open.mp4.chunks) == 0
}

// force cuts. If that would make segments shorter than a second on average, it
// starts the open segment anew, or, with parts of it published, has the frame
// wait for the time of a cut.
func (p *Pipeline) force(d media.Timestamp) verdict {
	passed := p.open.start + d - p.firstDTS
	if d >= ms(p.cfg.MinSegment) || d >= shortest && media.Timestamp(p.msn+1-p.cfg.FirstMSN)*1000 <= passed {
		return cut
	}
	if p.open.shown > 0 {
		return drop
	}
	return restart
}

// due says that the regular cut comes before f.
func (p *Pipeline) due(tr *track, f *frame, d media.Timestamp) bool {
	if !p.hasVideo() {
		return d >= ms(p.cfg.Segment)
	}
	return tr.typ == media.TypeVideo && f.Key && d >= max(ms(p.cfg.Segment)-earlyCut, ms(p.cfg.MinSegment))
}

// overdue says that the segment would be too long with this frame and the next
// one's distance.
func (p *Pipeline) overdue(tr *track, d media.Timestamp) bool {
	limit := p.limit
	if limit == 0 {
		limit = 2*ms(p.cfg.Segment) + roundUp
	}
	if tr.typ == media.TypeVideo && p.audio.active.Codec != media.CodecUnknown {
		limit -= trackSkew
	}
	return d >= ms(p.cfg.MinSegment) && d+tr.step() > limit
}

func (p *Pipeline) hasVideo() bool { return p.video.active.Codec != media.CodecUnknown }

// wants is how a track is to be in the program from the next cut on. A track
// that the last run had and this one does not have is left out.
func (p *Pipeline) wants(tr *track) program {
	last := max(p.video.last, p.audio.last)
	if !tr.seen || !tr.seenRun && last-p.run.first >= ms(p.cfg.MinSegment) {
		return program{}
	}
	return tr.next
}

// mediaEnd is where the media of the open segment ends, within its limit.
func (p *Pipeline) mediaEnd() media.Timestamp {
	end := p.open.end
	if p.limit > 0 {
		end = min(end, p.open.start+p.limit)
	}
	return p.behindParts(end)
}

// behindParts gives an end for the open segment that leaves its last part 1 ms:
// another track may be ahead of the frame that cuts.
func (p *Pipeline) behindParts(end media.Timestamp) media.Timestamp {
	return max(end, p.open.partStart+1)
}

// cut ends the open segment, if there is one, at the time end and begins the
// next with f; discontinuity: there is a hole in between. One whose frames were all
// refused is not published, it begins anew.
func (p *Pipeline) cut(f *frame, end media.Timestamp, discontinuity bool) {
	if p.open != nil && p.open.empty() {
		p.restart(f)
		return
	}
	next := opening{frame: f, start: max(f.DTS, p.floor), discontinuity: discontinuity}
	if p.open != nil {
		end = p.behindParts(end)
		next.start = max(next.start, end)
		p.close(end, &next)
	} else {
		p.firstDTS = next.start
		p.list.begins(p.point(&next))
	}
	p.begin(next.start, discontinuity)
}

// opening is how a segment begins.
type opening struct {
	frame         *frame // the first one
	start         media.Timestamp
	discontinuity bool
}

// restart gives up what the open segment has and begins it anew with f.
func (p *Pipeline) restart(f *frame) {
	p.dropped += uint64(p.open.frames())
	p.scratch = p.mux.flush(p.scratch[:0])
	p.mux.reset()
	p.begin(max(f.DTS, p.open.start), p.msn != p.cfg.FirstMSN)
}

// close publishes the open segment; next is how the one behind it begins, nil if
// that is not known.
func (p *Pipeline) close(end media.Timestamp, next *opening) {
	p.scratch = p.mux.flush(p.scratch[:0])
	p.open.ts.append(p.scratch)
	p.closePart(end)
	if p.cfg.LowLatency && p.parts.target == 0 {
		p.freeze()
	}
	s := p.open.seal(p.cfg.Epoch, p.msn, end-p.open.start, !p.hasVideo(), p.cfg.LowLatency)
	p.msn++
	p.list.begins(p.point(next))
	p.list.add(s, p.open.videoFrames)
	p.limit = ms(p.list.target) + roundUp
}

// freeze fixes the part target with the first segment.
func (p *Pipeline) freeze() {
	tr := &p.audio
	if p.hasVideo() {
		tr = &p.video
	}
	p.parts.freeze(p.open.parts, tr.step(), p.cfg.Segment)
	for i := range p.open.parts {
		part := &p.open.parts[i]
		part.Duration = min(part.Duration, p.parts.target.Duration())
	}
	p.list.partTarget = p.parts.target.Duration()
}

// begin opens a segment with PAT and PMT; start is the DTS of its first frame,
// or the end of the segment before if that is later.
func (p *Pipeline) begin(start media.Timestamp, discontinuity bool) {
	changed := p.apply()
	if p.err != nil {
		p.open = nil
		return
	}
	spliced := p.spliced(changed)
	p.open = &segment{
		start: start, end: start, toldAt: start, partStart: start, program: p.clock.at(start),
		discontinuity: discontinuity || spliced,
	}
	p.video.inSegment, p.audio.inSegment = 0, 0
	p.splice = nil
	for _, e := range p.early { // the tables announce a track for them
		p.event(e)
	}
	p.early = nil
	p.scratch = p.mux.tables(p.scratch[:0])
	p.open.ts.append(p.scratch)
}

// spliced says that the segment to begin, whose program has changed or not, does
// not go on from the one before.
func (p *Pipeline) spliced(changed bool) bool {
	if p.msn == p.cfg.FirstMSN { // the first program of all, or the first of another owner
		return p.cfg.Resumed
	}
	return changed
}

// join changes the program within the open segment. MPEG-TS can have another
// anywhere; the fragment, which is the first, is made anew.
func (p *Pipeline) join() {
	p.scratch = p.mux.flush(p.scratch[:0])
	if p.apply(); p.err != nil {
		p.open = nil
		return
	}
	p.scratch = p.mux.tables(p.scratch)
	p.open.ts.append(p.scratch)
	for i := range p.splice {
		if p.mux.gather(&p.splice[i].Frame) != nil {
			p.dropped++
		}
	}
}

// splicing says that the open segment may still have to take another program.
func (p *Pipeline) splicing() bool {
	return p.mux.mp4 != nil && p.open.discontinuity && len(p.open.mp4.chunks) == 0 &&
		(p.video.inSegment == 0 || p.audio.inSegment == 0)
}

// changes says that the program that is wanted is not the one that there is.
func (p *Pipeline) changes() bool {
	return !p.video.active.same(p.wants(&p.video).Track) || !p.audio.active.same(p.wants(&p.audio).Track)
}

// apply gives the muxers the program that is wanted; changed says that they had
// another.
func (p *Pipeline) apply() (changed bool) {
	if !p.changes() {
		return false
	}
	video, audio := p.wants(&p.video), p.wants(&p.audio)
	if p.err = p.mux.apply(video.Track, audio.Track); p.err != nil {
		p.err = fmt.Errorf("pipeline: %w", p.err)
		return false
	}
	p.video.active, p.audio.active = video, audio
	p.list.describe(p.mux.config(video.Track, audio.Track))
	return true
}

// mux1 muxes one frame into the open segment.
func (p *Pipeline) mux1(tr *track, f *frame) {
	var err error
	p.scratch, err = p.mux.write(p.scratch[:0], &f.Frame)
	if errors.Is(err, fmp4.ErrFull) && f.DTS > p.open.partStart {
		p.closePart(f.DTS)
		p.scratch, err = p.mux.write(p.scratch[:0], &f.Frame)
	}
	if err != nil {
		p.dropped++
		return
	}
	s := p.open
	s.ts.append(p.scratch)
	if p.splicing() {
		p.splice = append(p.splice, f.clone())
	} else {
		p.splice = nil
	}
	s.note(f)
	tr.inSegment++
	s.end = max(s.end, f.DTS+tr.step())
	p.show()
}
