package pipeline

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"tmms/media"
	"tmms/media/fmp4"
	"tmms/media/hls"
	"tmms/media/tsmux"
)

// Heir is the pipeline of a stream's new owner while it makes up for what the old
// one has not published: from the packets behind the last segment it makes what
// that one would have made, under the same names, as far as they go. It has one
// owner. Offer comes first, then Take.
type Heir struct {
	p     *Pipeline
	epoch uint64
	x     *hls.Index
	at    point
	began bool  // the first packet of the open segment came
	run   int64 // of the last packet; -1: none came
	err   error
}

// Inherit returns an heir to the index x of an earlier epoch than cfg.Epoch, with
// its bytes; what x has frozen counts in place of cfg. publish is that of New. The
// error is a bad configuration, or wraps [ErrPoint]: then the stream has to begin
// a new playlist.
func Inherit(cfg Config, x *hls.Index, publish func(*hls.Index)) (*Heir, error) {
	if !goesOn(x) || x.Epoch >= cfg.Epoch {
		return nil, fmt.Errorf("%w: of epoch %d in epoch %d, %d segments", ErrPoint, x.Epoch, cfg.Epoch, len(x.Segments))
	}
	at, err := parsePoint(x.Resume)
	if err != nil {
		return nil, err
	}
	h := &Heir{epoch: cfg.Epoch, x: x, at: at, run: -1}
	cfg.Epoch, cfg.LowLatency = x.Epoch, x.PartTarget > 0
	cfg.FirstMSN, cfg.Resumed = uint64(at.firstMSN), false //nolint:gosec // checked
	if h.p, err = New(cfg, publish); err != nil {
		return nil, err
	}
	h.p.inherit(x, &at)
	return h, nil
}

// inherit makes a new pipeline one that has published x.
func (p *Pipeline) inherit(x *hls.Index, at *point) {
	p.quiet = true
	p.list.inherit(x)
	last, _ := x.LastMSN()
	p.msn = last + 1
	p.limit = ms(x.Target) + roundUp
	p.parts.target = ms(x.PartTarget)
	p.firstDTS = media.Timestamp(at.firstDTS)
	p.clock.restore(at)
	if at.known == 0 {
		p.floor = media.Timestamp(at.start)
	}
	p.run = run{begun: at.runBegun != 0, first: media.Timestamp(at.runFirst)}
	p.probe.done = true
}

// Offer takes the packets of the log in order, with the wall clock times at which
// they came, from any that is not behind the end of the last segment: what comes
// before that only tells the configurations.
func (h *Heir) Offer(pkt *media.Packet, wall time.Time) {
	if h.err != nil || h.at.known == 0 {
		return
	}
	first := h.at.first.id()
	switch c := pkt.ID.Compare(first); {
	case !h.began && c < 0:
		h.p.announce(pkt)
		h.run = int64(pkt.Run)
		return
	case !h.began && c > 0:
		h.err = fmt.Errorf("%w: packet %v is not here, %v is the first", ErrPoint, first, pkt.ID)
		return
	case !h.began:
		if h.err = h.p.restore(&h.at); h.err != nil {
			return
		}
		h.began, h.run = true, int64(pkt.Run)
	case h.run != int64(pkt.Run):
		h.run = int64(pkt.Run)
		h.p.StartRun(wall)
	}
	h.err = h.p.Write(pkt, wall)
}

// announce takes what a packet tells of the configurations in force.
func (p *Pipeline) announce(pkt *media.Packet) {
	if pkt.Track != 0 {
		return
	}
	if pkt.Type == media.TypeData {
		p.data(pkt)
		p.early = nil
		return
	}
	in, err := tsmux.Read(pkt.Type, pkt.DTS, pkt.Body)
	if err != nil {
		return
	}
	switch {
	case in.Kind == media.KindConfig:
		p.configure(p.track(pkt.Type), in.Track)
	case tsmux.InFrames(in.Frame.Codec):
		if t, ok := tsmux.FrameTrack(in.Frame.Codec, in.Frame.Payload); ok {
			p.configure(p.track(pkt.Type), t)
		}
	}
}

// restore makes the pipeline what it was when the open segment began, by the
// configurations that were announced.
func (p *Pipeline) restore(at *point) error {
	p.entering = at
	p.video.restore(&at.video)
	p.audio.restore(&at.audio)
	video, audio := p.wants(&p.video), p.wants(&p.audio)
	for _, known := range []bool{
		at.video.active == 0 || video.Codec != media.CodecUnknown, at.audio.active == 0 || audio.Codec != media.CodecUnknown,
	} {
		if !known {
			return fmt.Errorf("%w: a track has no configuration", ErrPoint)
		}
	}
	if err := p.mux.restore(at, video, audio); err != nil {
		return fmt.Errorf("%w: %w", ErrPoint, err)
	}
	p.video.active, p.audio.active = video, audio
	return nil
}

// restore makes the muxers go on with a program.
func (m *mux) restore(at *point, video, audio program) error {
	m.noTS = at.noTS != 0
	ts, mp4 := m.needs(video.Track, audio.Track)
	m.noTS = !ts
	if ts && at.tsOpen != 0 {
		if err := m.ts.Continue(at.ts, video.Track, audio.Track); err != nil {
			return err
		}
	} else if ts {
		if _, err := m.ts.Apply(video.Track, audio.Track); err != nil {
			return err
		}
	}
	if !mp4 {
		return nil
	}
	next, err := fmp4.NewMuxer(m.config(video.Track, audio.Track))
	if err != nil {
		return err
	}
	m.mp4, m.init = next, nil
	return next.Continue(at.mp4)
}

// enter begins the open segment of the owner before, with its first frame.
func (p *Pipeline) enter(tr *track, f *frame) {
	at := p.entering
	p.entering = nil
	p.begin(media.Timestamp(at.start), at.discontinuity != 0)
	if p.err != nil {
		return
	}
	p.open.program = time.Unix(0, at.program)
	p.mux1(tr, f)
}

// Take closes the open segment with what it has and publishes the index of the new
// epoch. The pipeline that it gives goes on with the next number, behind a
// discontinuity. The error wraps [ErrPoint]: the packets of the open segment are
// not here.
func (h *Heir) Take() (*Pipeline, error) {
	p := h.p
	switch {
	case h.err != nil:
		return nil, h.err
	case !h.began && h.x.Open != nil:
		return nil, fmt.Errorf("%w: packet %v is not here", ErrPoint, h.at.first.id())
	}
	if err := p.keepParts(h.x.Open); err != nil {
		return nil, err
	}
	if p.open != nil && p.open.frames() > 0 {
		p.floor = p.mediaEnd()
		p.close(p.floor, nil)
	} else {
		p.list.begins(p.point(nil))
	}
	p.takeOver(h.epoch)
	return p, p.err
}

// keepParts sees to it that the parts which are published stay as they are. The
// packets give the same again; where they do not, as those of another release may
// not, the segment has those parts and no more.
func (p *Pipeline) keepParts(o *hls.Segment) error {
	s := p.open
	switch {
	case o == nil:
		return nil
	case p.msn > o.MSN: // the segment is whole
		e := p.list.entries[len(p.list.entries)-int(p.msn-o.MSN)] //nolint:gosec // a few
		if !startsWith(e.MP4.Chunks, o.MP4.Chunks) || e.Init != o.Init {
			return fmt.Errorf("%w: segment %d has other parts", ErrPoint, o.MSN)
		}
		return nil
	case s == nil:
		return fmt.Errorf("%w: segment %d has no frames", ErrPoint, o.MSN)
	case startsWith(s.mp4.chunks, o.MP4.Chunks) && s.init == o.Init:
		return nil
	}
	p.mux.reset()
	s.parts, s.init = slices.Clone(o.Parts), o.Init
	s.mp4 = content{chunks: slices.Clone(o.MP4.Chunks), size: o.MP4.Size}
	s.partStart = s.start + ms(o.Duration)
	s.end = max(s.end, s.partStart)
	return nil
}

// startsWith says that a list of chunks begins with another one.
func startsWith(chunks, first [][]byte) bool {
	return len(chunks) >= len(first) && slices.EqualFunc(chunks[:len(first)], first, bytes.Equal)
}

// takeOver begins another epoch.
func (p *Pipeline) takeOver(epoch uint64) {
	p.open, p.quiet = nil, false
	p.cfg.Epoch, p.cfg.FirstMSN, p.cfg.Resumed = epoch, p.msn, true
	for _, tr := range []*track{&p.video, &p.audio} {
		tr.seen, tr.seenRun, tr.needKey = false, false, tr.typ == media.TypeVideo
	}
	p.probe, p.run = probe{}, run{}
	p.list.epoch, p.list.lastInit, p.list.version = epoch, nil, 0
	p.list.show()
}
