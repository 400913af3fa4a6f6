// Package pipeline makes HLS of a stream: it muxes the packets that a publisher
// sent, cuts them into segments and publishes a new segment index after each,
// with low latency after each part.
//
// A segment is MPEG-TS where HLS has the codecs in it. It is fragmented MP4 with
// low latency, then beside MPEG-TS, and where it has not; after that there is no
// MPEG-TS in the epoch any more. Both are of the same frames and cut at the same
// places.
//
// Where it cuts, the first rule that holds:
//
//   - A changed codec configuration cuts before the first frame that needs it
//     and marks one discontinuity. So does a track that comes or goes; audio
//     that comes late waits for the next cut to come. Repeated configurations
//     change nothing, in a new run of the publisher neither.
//   - A hole in the stream that is longer than a segment may be ends the
//     segment with its last frame and marks a discontinuity.
//   - With video: the first keyframe at or after the target. Audio only: the
//     first frame at or after the target.
//   - A group of pictures longer than a segment may be is cut before a delta
//     frame; from then on the index is not Independent.
//   - A segment of media.MaxHLSSegmentBytes is cut wherever it is.
//
// A segment may last twice the target until the first one is published. That
// fixes the target duration for the epoch at 1.5 times the longer of target and
// first segment; later segments end so early that they round to no more.
//
// With low latency a segment ends one of its parts before each video frame, or
// audio frame without video, that a part of the wanted duration is complete with.
// The first segment fixes the part target for the epoch: the fewest whole frames
// that last as long. From then on a part, but for the last of a segment, lasts
// 85 % of it at least; it ends before the frame that would make it longer, at a
// keyframe if it can. Where the frames leave no choice, after a gap or at a lower
// frame rate, the duration of a part is given as the target: the whole of it is
// in the segment's. A part is published when the frame behind it is known, the
// last of a segment with the segment. What was published stays: a forced cut that
// comes too early does not give such a segment up, but has the frames wait.
package pipeline

import (
	"errors"
	"fmt"
	"time"

	"tmms/media"
	"tmms/media/hls"
	"tmms/media/mpegts"
	"tmms/media/tsmux"
)

var (
	// ErrUnsupported is wrapped by the error for a codec that HLS cannot carry,
	// which the message names. It is final: no HLS for this stream.
	ErrUnsupported = errors.New("HLS cannot carry")
	// ErrEnded refuses packets after End.
	ErrEnded = errors.New("pipeline: ended")
)

// Pipeline makes the segments of one stream in one epoch. It has one owner and
// is not safe for concurrent use; publish is called within Write and End.
type Pipeline struct {
	// Set at construction.
	cfg  Config
	list *list

	clock        wallClock
	video, audio track
	mux          mux      // without tracks until the first segment begins
	open         *segment // nil before the first keyframe
	parts        partRule
	splice       []frame // of the open segment, while its program is not settled
	msn          uint64  // of the open segment
	limit        media.Timestamp
	firstDTS     media.Timestamp // of the first segment
	floor        media.Timestamp // where the owner before has ended its last segment
	probe        probe
	run          run
	scratch      []byte  // TS packets on their way to the segment
	tag          []byte  // the last event
	early        []event // from before the first segment
	entering     *point  // the next frame is the first of the open segment of the owner before
	quiet        bool    // nothing is to be published
	dropped      uint64
	err          error // final
}

// run is one publisher connection.
type run struct {
	begun bool            // it had a frame
	first media.Timestamp // of that frame
}

// New returns a pipeline that waits for the first packet. publish gets each
// version of the index and must not block. The first has one whole segment.
func New(cfg Config, publish func(*hls.Index)) (*Pipeline, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	want := fragment
	if cfg.LowLatency {
		want = cfg.Part
	}
	p := &Pipeline{
		cfg: cfg, msn: cfg.FirstMSN,
		mux: mux{low: cfg.LowLatency}, parts: partRule{want: ms(want)},
		video: track{typ: media.TypeVideo, needKey: true}, audio: track{typ: media.TypeAudio},
	}
	p.list = newList(cfg, func(x *hls.Index) {
		if !p.quiet {
			publish(x)
		}
	})
	return p, nil
}

// StartRun says that the next packet is the first of a new publisher
// connection, at the wall clock time wall or later. PROGRAM-DATE-TIME jumps
// forward to it, or stays as it is where it would go back.
func (p *Pipeline) StartRun(wall time.Time) {
	p.settle()
	p.run = run{}
	p.clock.startRun(wall)
	p.video.seenRun, p.audio.seenRun = false, false
	p.video.needKey = true
}

// Write takes the next packet of the log, with corrected DTS, and the wall
// clock time at which it came. Its body is only used during the call. A data
// message that tells of an event, such as onCuePoint, becomes timed metadata.
// Tracks other than the first are ignored, frames that cannot be used are
// dropped and counted. An error wraps [ErrUnsupported] and is final, or is
// [ErrEnded].
func (p *Pipeline) Write(pkt *media.Packet, wall time.Time) error {
	if p.err != nil {
		return p.err
	}
	if pkt.Track != 0 {
		return nil
	}
	if pkt.Type == media.TypeData {
		p.data(pkt)
	}
	if pkt.Type != media.TypeVideo && pkt.Type != media.TypeAudio {
		return nil
	}
	in, err := tsmux.Read(pkt.Type, pkt.DTS, pkt.Body)
	if err != nil {
		p.dropped++
		return nil //nolint:nilerr // one bad packet does not end the stream
	}
	switch in.Kind {
	case media.KindConfig:
		p.configure(p.track(pkt.Type), in.Track)
	case media.KindKey, media.KindDelta, media.KindAudio:
		p.frame(frame{Frame: in.Frame, wall: wall, id: pkt.ID})
	case media.KindData, media.KindEnd: // nothing to mux
	}
	return p.err
}

// End closes the last segment and publishes the index with its end mark, if
// there was a segment at all.
func (p *Pipeline) End() {
	if errors.Is(p.err, ErrEnded) {
		return
	}
	p.settle()
	if p.open != nil && p.open.frames() > 0 {
		p.close(p.mediaEnd(), nil)
	}
	p.open, p.err = nil, ErrEnded
	p.list.end()
}

// Dropped counts the packets that could not be used: malformed, without the
// configuration or the keyframe that they need.
func (p *Pipeline) Dropped() uint64 { return p.dropped }

func (p *Pipeline) track(typ media.Type) *track {
	if typ == media.TypeVideo {
		return &p.video
	}
	return &p.audio
}

// configure takes a sequence header.
func (p *Pipeline) configure(tr *track, t mpegts.Track) {
	if tr.next.same(t) {
		return
	}
	if !p.supported(tr, t) {
		return
	}
	if tr.seen {
		p.settle() // what is held belongs to the old one
	}
	tr.announce(t)
}

// supported says whether the track can be muxed. A codec that cannot ends the
// pipeline, a bad configuration counts as dropped.
func (p *Pipeline) supported(tr *track, t mpegts.Track) bool {
	err := p.mux.check(tr.typ, t)
	switch {
	case err == nil:
		return true
	case errors.Is(err, ErrUnsupported):
		p.err = fmt.Errorf("pipeline: %w", err)
	default:
		p.dropped++
	}
	return false
}

// frame takes an audio or video frame.
func (p *Pipeline) frame(f frame) {
	tr := p.track(f.Type)
	if !p.configured(tr, &f) {
		return
	}
	switch {
	case p.probe.done:
		p.take(&f)
	case f.Type == media.TypeVideo && tr.needKey && !f.Key:
		p.dropped++
	default:
		tr.needKey, tr.seen, tr.seenRun = false, true, true
		if p.probe.hold(f, p.cfg.Segment) || p.video.seen && p.audio.seen {
			p.settle()
		}
	}
}

// configured says that the frame has the configuration that was announced, or,
// where FLV has none for the codec, takes it from the frame.
func (p *Pipeline) configured(tr *track, f *frame) bool {
	if tsmux.InFrames(f.Codec) {
		t, ok := tsmux.FrameTrack(f.Codec, f.Payload)
		if !ok {
			p.dropped++
			return false
		}
		p.configure(tr, t)
		return p.err == nil
	}
	if tr.next.Codec == f.Codec && f.Codec != media.CodecUnknown {
		return true
	}
	// It came before its configuration, and is counted as dropped, or is of a
	// codec that is not carried, which ends the pipeline.
	p.supported(tr, mpegts.Track{Codec: f.Codec})
	return false
}

// settle ends the start, in which frames are held until it is known which
// tracks there are.
func (p *Pipeline) settle() {
	if p.probe.done || len(p.probe.frames) == 0 {
		return
	}
	p.probe.done = true
	for i := range p.probe.frames {
		p.take(&p.probe.frames[i])
	}
	p.probe.frames = nil
}

// take puts a frame into the segment that it belongs to.
func (p *Pipeline) take(f *frame) {
	tr := p.track(f.Type)
	if p.entering != nil && p.err == nil {
		p.enter(tr, f)
		return
	}
	if p.err != nil || tr.typ == media.TypeVideo && tr.needKey && !f.Key {
		p.dropped++
		return
	}
	tr.needKey = false
	tr.observe(f.DTS)
	p.clock.observe(f.DTS, f.wall)
	if !p.run.begun {
		p.run = run{begun: true, first: f.DTS}
	}
	switch p.decide(tr, f) {
	case keep:
		if p.partDue(tr, f) {
			p.closePart(f.DTS)
		}
	case drop:
		p.dropped++
		tr.needKey = tr.typ == media.TypeVideo
		return
	case join:
		p.join()
	case cut:
		p.cut(f, f.DTS, false)
	case hole:
		p.cut(f, p.mediaEnd(), true)
	case restart:
		p.restart(f)
	}
	if p.err == nil {
		p.mux1(tr, f)
	}
}
