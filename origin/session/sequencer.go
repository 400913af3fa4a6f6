package session

import (
	"fmt"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
	"tmms/media/timeline"
)

// sequencer is the way of a packet through its stream: it corrects the time,
// gives the identity, and appends to the log and to HLS. It belongs to its
// stream and is guarded by the stream's lock.
type sequencer struct {
	// Set at construction.
	key      media.StreamKey
	counters *Counters
	writer   *relay.Writer
	t0       time.Time // of the stream's time 0, as the placement has it; zero: not known
	resumed  bool      // there was an earlier epoch

	// Owned by the stream.
	clock    *timeline.Timeline // nil before the first packet
	run      uint32             // of the packets to come
	group    grouper
	headers  headers
	meta     metadata
	keyed    [media.MaxPublishedTracks]bool // video tracks that had a keyframe in this run
	base     anchor                         // of data in this run
	segments segmenter
	tracks   Tracks
	packets  int64
	rebases  int64
	dropped  int64
}

func newSequencer(
	r *Registry, key media.StreamKey, placement state.Placement, app *state.App,
) (*sequencer, error) {
	epoch := placement.Epoch
	w, err := r.deps.Hub.Publish(key, epoch, relay.LiveOptions{
		Keep: max(app.GOPCache.Time, 2*app.Latency), MaxBytes: app.GOPCache.Bytes, MaxLag: app.Latency,
		StartedAt: r.deps.Now(),
	})
	if err != nil {
		return nil, err
	}
	// A life that was pulled from an earlier owner has packets already.
	resumed := placement.ClaimedAtMS > placement.T0MS || w.Live().Packets() > 0
	var t0 time.Time
	if placement.T0MS > 0 {
		t0 = time.UnixMilli(placement.T0MS)
	}
	return &sequencer{
		key: key, counters: &r.counters, writer: w, t0: t0, resumed: resumed,
		group: grouper{epoch: epoch}, headers: headers{known: map[headerKey]digest{}},
		segments: segmenter{key: key, epoch: epoch, resumed: resumed, log: r.deps.Log, writer: w},
	}, nil
}

// begin starts the clock with the first packet. A stream that has had an
// earlier owner goes on where that has left it: behind all that this node and
// the readers at other nodes have of it. The wall clock time since the stream's
// time 0 decides only if nobody has anything: a run that went on after an outage is
// behind it, and to catch up would be a jump for all readers.
func (q *sequencer) begin(now time.Time) {
	var cfg timeline.Config
	if q.resumed {
		live := q.writer.Live()
		reported, _, _ := live.Reported()
		cfg.Resume, cfg.HasResume = max(live.Reached(), reported), true
		if known := live.Packets() > 0 || reported > 0; !known && !q.t0.IsZero() {
			cfg.Resume = max(0, media.Timestamp(now.Sub(q.t0).Milliseconds()))
		}
	}
	q.clock = timeline.New(cfg)
}

// startRun prepares for the packets of another publisher connection.
func (q *sequencer) startRun(run uint32, app *state.App, now time.Time) {
	q.run = run
	q.group.startRun()
	if q.clock != nil {
		q.clock.StartRun()
	}
	q.headers.startRun()
	q.meta.stale, q.base = true, anchor{}
	clear(q.keyed[:])
	q.segments.startRun(run, app, now)
	q.writer.SetState(relay.StateLive)
}

// pause says that the publisher is gone and may come back.
func (q *sequencer) pause() { q.writer.SetState(relay.StateGrace) }

// leave gives the stream's life up to another owner of the stream.
func (q *sequencer) leave() {
	q.segments.leave()
	q.writer.Leave()
}

// end ends the stream's life.
func (q *sequencer) end() {
	q.segments.end()
	q.writer.End()
}

// write takes a message of the publisher. What can't be used is dropped and
// counted; an error is the log's and final. m.Body is copied.
func (q *sequencer) write(m rtmp.Message, now time.Time) error {
	if q.clock == nil {
		q.begin(now)
	}
	info, err := flv.Describe(m.Type, m.Body)
	if err != nil {
		q.drop(DropMalformed)
		return nil //nolint:nilerr // one bad packet does not end the stream
	}
	if reason, ok := admit(&m, &info); !ok {
		q.drop(reason)
		return nil
	}
	p := media.Packet{
		Run: q.run, Type: m.Type, Kind: info.Kind, Codec: info.Codec, Track: info.Track,
		CTO: info.CTO, Ingested: now.UnixMicro(), Body: m.Body,
	}
	switch {
	case info.Kind == media.KindEnd:
		// Whether the stream ends is decided by the grace, not by the encoder.
		return nil
	case info.Kind == media.KindConfig, info.Beside:
		q.header(&p, info)
		return nil
	case m.Type == media.TypeData && flv.IsMetadata(m.Body):
		q.metadata(m.Body)
		return nil
	case info.Kind == media.KindData:
		return q.data(&p, m.Timestamp)
	}
	return q.frame(&p, info, m.Timestamp)
}

// admit refuses a body with a track that a stream can't have. One with several
// tracks goes in whole or not at all.
func admit(m *rtmp.Message, info *flv.Info) (reason DropReason, ok bool) {
	if !info.Several {
		return DropTracks, info.Track < media.MaxPublishedTracks
	}
	for i, err := range flv.Tracks(m.Type, m.Body) {
		if err != nil {
			return DropMalformed, false
		}
		if i.Track >= media.MaxPublishedTracks {
			return DropTracks, false
		}
	}
	return 0, true
}

func (q *sequencer) drop(r DropReason) {
	q.dropped++
	q.counters.drops[r].Add(1)
}

// header keeps a codec configuration, or what lies beside one, until the next
// frame, so that it lies in the group of the packets that it describes. One that
// says nothing new is left out (CASES: repeated-headers).
func (q *sequencer) header(p *media.Packet, info flv.Info) {
	if len(p.Body) > media.MaxCodecConfig {
		q.drop(DropOversize)
		return
	}
	beside := info.Beside
	if beside {
		p.Kind, p.Track = media.KindConfig, media.BesideTrack(p.Track)
	}
	if q.headers.offer(p) && !beside && q.tracks.note(p, info) {
		q.meta.stale = true
	}
	if info.Several {
		q.split(p, info.Track)
	}
}

// split keeps what a header with several tracks says of each but the first by
// itself too: it stays in force until a later header says something else of that
// very track, whatever other tracks that one has (CASES: ertmp-latejoin). The
// header itself goes out as it was pushed.
func (q *sequencer) split(p *media.Packet, first media.TrackID) {
	for i, err := range flv.Tracks(p.Type, p.Body) {
		if err != nil || i.Track == first {
			continue
		}
		one := *p
		one.Track, one.Codec, one.Body = i.Track, i.Codec, flv.AppendOneTrack(nil, p.Type, i)
		if i.Beside {
			one.Track = media.BesideTrack(i.Track)
		}
		q.headers.offer(&one)
	}
}

// metadata takes what the publisher says of the stream. Viewers are told before
// the next frame.
func (q *sequencer) metadata(body []byte) {
	md, ok, err := flv.ParseMetadata(body)
	if err != nil || !ok {
		return // what can't be read says nothing
	}
	q.tracks.metadata(&md)
	q.meta.publish(&md)
}

// anchor is a frame: what comes beside it is as far from it in stream time as it
// was in the publisher's.
type anchor struct {
	raw  uint32
	dts  media.Timestamp
	set  bool
	data media.Timestamp // of the last data
}

// cueReach is how far data may lie from the frames around it, in ms: muxers
// are within a second.
const cueReach media.Timestamp = 1000

// at gives data the time that it was sent with; that of the newest frame, now, if
// it has none that fits.
func (a *anchor) at(raw uint32, now media.Timestamp) media.Timestamp {
	at := a.dts + media.Timestamp(int32(raw-a.raw))
	if !a.set || at < now-cueReach || at > now+cueReach {
		at = now
	}
	a.data = max(at, a.data)
	return a.data
}

// data passes on a packet that is no frame: a cue or a text comes at its own
// time, a command where it is.
func (q *sequencer) data(p *media.Packet, raw uint32) error {
	p.DTS = q.clock.Stamp(p.Type)
	if p.Type == media.TypeData {
		p.DTS = q.base.at(raw, p.DTS)
	}
	if !q.group.open || q.group.cut {
		q.group.begin(p.DTS)
	}
	return q.append(p)
}

// frame passes on an audio or video frame, with the headers held for it.
func (q *sequencer) frame(p *media.Packet, info flv.Info, raw uint32) error {
	if !q.decodable(p, &info) {
		q.drop(DropNoKeyframe)
		return nil
	}
	dts, rebased := q.clock.Correct(p.Type, p.Track, raw)
	if rebased {
		q.rebases++
		q.counters.rebases.Add(1)
	}
	q.base.raw, q.base.dts, q.base.set = raw, dts, true
	if q.group.starts(p.Kind, p.Track, dts) {
		q.group.begin(dts)
	}
	q.group.note(p.Kind, p.Track, dts)
	if q.tracks.frame(p, &info) || q.meta.stale {
		q.tell(p)
	}
	if err := q.flushHeaders(p, dts); err != nil {
		return err
	}
	p.DTS = dts
	return q.append(p)
}

// decodable tells that a frame does not refer to one that came before its
// track's first keyframe of the run.
func (q *sequencer) decodable(p *media.Packet, info *flv.Info) bool {
	switch p.Kind {
	case media.KindKey:
		q.keyed[p.Track] = true
		if !info.Several {
			break
		}
		for i, err := range flv.Tracks(p.Type, p.Body) {
			if err == nil {
				q.keyed[i.Track] = true
			}
		}
	case media.KindDelta:
		return q.keyed[p.Track]
	default:
	}
	return true
}

// tell has viewers told of what the stream is, in front of the frame p.
func (q *sequencer) tell(p *media.Packet) {
	q.headers.offer(&media.Packet{
		Run: p.Run, Type: media.TypeData, Kind: media.KindData, Ingested: p.Ingested, Body: q.meta.body(&q.tracks),
	})
}

// flushHeaders appends the headers that must lie in front of the frame p: all
// of them before a keyframe, else metadata and those of p's own type. The order
// is metadata, audio, video.
func (q *sequencer) flushHeaders(p *media.Packet, dts media.Timestamp) error {
	if len(q.headers.held) == 0 {
		return nil
	}
	for _, h := range q.headers.take(p) {
		h.Run, h.Ingested = p.Run, p.Ingested
		h.DTS = dts
		if h.Type != p.Type {
			h.DTS = min(q.clock.Stamp(h.Type), dts)
		}
		if err := q.append(&h); err != nil {
			return err
		}
	}
	return nil
}

func (q *sequencer) append(p *media.Packet) error {
	p.ID = q.group.next()
	if err := q.writer.Append(p); err != nil {
		return fmt.Errorf("session: %s: %w", q.key, err)
	}
	q.packets++
	q.segments.write(p)
	return nil
}
