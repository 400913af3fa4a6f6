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
	keyed    [media.MaxTracks]bool // video tracks that had a keyframe in this run
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
		Keep: max(app.GOPCache.Time, 2*app.Latency), MaxBytes: app.GOPCache.Bytes, StartedAt: r.deps.Now(),
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
// the readers at other nodes have of it, and not before the wall clock time
// since the stream's time 0, which is all that is left of a stream that nobody
// has seen.
func (q *sequencer) begin(now time.Time) {
	var cfg timeline.Config
	if q.resumed {
		reported, _, _ := q.writer.Live().Reported()
		cfg.Resume, cfg.HasResume = max(q.writer.Live().LastDTS(), reported), true
		if !q.t0.IsZero() {
			cfg.Resume = max(cfg.Resume, media.Timestamp(now.Sub(q.t0).Milliseconds()))
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
	if int(info.Track) >= media.MaxTracks {
		q.drop(DropTracks)
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
	case info.Kind == media.KindConfig, m.Type == media.TypeData && flv.IsMetadata(m.Body):
		q.header(&p, info)
		return nil
	case info.Kind == media.KindData:
		return q.data(&p)
	}
	return q.frame(&p, info, m.Timestamp)
}

func (q *sequencer) drop(r DropReason) {
	q.dropped++
	q.counters.drops[r].Add(1)
}

// header keeps a codec configuration or metadata until the next frame, so that
// it lies in the group of the packets that it describes. One that says nothing
// new is left out (CASES: repeated-headers).
func (q *sequencer) header(p *media.Packet, info flv.Info) {
	if p.Kind == media.KindConfig && len(p.Body) > media.MaxCodecConfig {
		q.drop(DropOversize)
		return
	}
	if q.headers.offer(p) {
		q.tracks.note(p, info)
	}
}

// data passes on a packet that has no time of its own.
func (q *sequencer) data(p *media.Packet) error {
	p.DTS = q.clock.Stamp(p.Type)
	if !q.group.open || q.group.cut {
		q.group.begin(p.DTS)
	}
	return q.append(p)
}

// frame passes on an audio or video frame, with the headers held for it.
func (q *sequencer) frame(p *media.Packet, info flv.Info, raw uint32) error {
	switch p.Kind {
	case media.KindKey:
		q.keyed[p.Track] = true
	case media.KindDelta:
		if !q.keyed[p.Track] {
			q.drop(DropNoKeyframe)
			return nil
		}
	default:
	}
	dts, rebased := q.clock.Correct(p.Type, p.Track, raw)
	if rebased {
		q.rebases++
		q.counters.rebases.Add(1)
	}
	if q.group.starts(p.Kind, p.Track, dts) {
		q.group.begin(dts)
	}
	q.group.note(p.Kind, p.Track, dts)
	if err := q.flushHeaders(p, dts); err != nil {
		return err
	}
	q.tracks.frame(p, info)
	p.DTS = dts
	return q.append(p)
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
