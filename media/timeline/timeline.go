// Package timeline turns the 32-bit timestamps of publishers into one stream
// time that never goes back.
//
// A run is one publisher connection. All tracks of a run share one offset from
// raw to stream time, so audio stays where it was sent beside video. Raw time
// is used modulo 2^32, so a wrap is nothing special. A step that is no pace of
// the stream (backward beyond a tolerance, or forward beyond a threshold
// that the stream's own gaps raise) is a discontinuity: it starts a new base,
// at the last stream time plus one frame. The other tracks move to that base
// when they reach the same cut; video is the master, so they follow it back
// after a glitch too. Every step that is not a discontinuity is kept as it is:
// real gaps stay gaps.
package timeline

import (
	"time"

	"tmms/media"
)

// Config sets the thresholds; zero values take the defaults.
type Config struct {
	// Resume is where an earlier owner of the stream ended; the first packet
	// comes one frame later. Without HasResume the first packet is at 0.
	Resume    media.Timestamp
	HasResume bool
	// Backward is how far a track may step back before it is a discontinuity.
	// Within it the track waits until it has caught up. Default 250 ms, three
	// frames of a slow encoder that sends presentation times.
	Backward time.Duration
	// Forward is the least forward step that is a discontinuity; the gaps that
	// the stream has of its own raise it. Default 5 s.
	Forward time.Duration
}

const (
	defaultBackward = 250 * time.Millisecond
	defaultForward  = 5 * time.Second

	// sparse is the longest gap between the first two frames of a video track
	// that is taken for its pace. One frame a minute is real.
	sparse media.Timestamp = 120_000
	// skew is how far a track may lie behind the others when it joins a base:
	// real muxers are within a second. Further off it has a clock of its own.
	skew media.Timestamp = 2000
)

// Timeline corrects the timestamps of one stream. It has one owner and is not
// safe for concurrent use.
type Timeline struct {
	// Set at construction.
	backward, forward media.Timestamp
	start             media.Timestamp // no packet comes before

	begun  bool                      // a packet was given out, or there is a resume point
	last   media.Timestamp           // the latest given out, over all tracks
	tracks [2][media.MaxTracks]track // audio, video

	// Of the run.
	fresh bool   // it has no base yet
	floor uint64 // its bases have a gen above
	audio bool   // it has had an audio frame
	pace  pace

	bases [numBases]base // by gen modulo numBases
	gen   uint64         // of the newest base
}

// numBases is how many cuts a track may be behind the others and still find
// the base it has to move to.
const numBases = 4

// base maps raw to stream time: stream = raw + offset modulo 2^32.
type base struct {
	gen    uint64 // from 1; 0 is no base
	offset uint32
}

// New returns a timeline that waits for the first packet of its first run.
func New(cfg Config) *Timeline {
	if cfg.Backward == 0 {
		cfg.Backward = defaultBackward
	}
	if cfg.Forward == 0 {
		cfg.Forward = defaultForward
	}
	t := &Timeline{
		backward: media.Timestamp(cfg.Backward.Milliseconds()),
		forward:  media.Timestamp(cfg.Forward.Milliseconds()),
	}
	if cfg.HasResume {
		t.begun, t.start, t.last = true, cfg.Resume, cfg.Resume
	}
	for i := range media.MaxTracks {
		t.tracks[kind(media.TypeAudio)][i].typ = media.TypeAudio
		t.tracks[kind(media.TypeVideo)][i].typ = media.TypeVideo
	}
	t.StartRun()
	return t
}

// StartRun says that the next frame is the first of a new publisher
// connection, whatever its timestamp: it comes one frame after the last. New
// has started the first run already.
func (t *Timeline) StartRun() {
	t.fresh, t.audio = true, false
	t.floor = t.gen
	t.pace = pace{}
}

// Last is the latest stream time given out, over all tracks; the resume point,
// or 0, before the first packet.
func (t *Timeline) Last() media.Timestamp { return t.last }

// Correct gives the stream time of an audio or video frame with the timestamp
// raw, in ms. It never decreases per track. rebased is true if the frame was a
// discontinuity within its run. Headers and metadata have no time of their own:
// see [Timeline.Stamp]. Tracks from media.MaxTracks-1 on count as one.
func (t *Timeline) Correct(typ media.Type, track media.TrackID, raw uint32) (dts media.Timestamp, rebased bool) {
	if typ != media.TypeAudio && typ != media.TypeVideo {
		return t.Stamp(typ), false
	}
	tr := t.track(typ, track)
	dts, ok := t.place(tr, raw)
	if !ok {
		rebased = !t.fresh
		dts = t.rebase(tr, raw)
	}
	t.audio = t.audio || typ == media.TypeAudio
	return t.accept(tr, dts, ok), rebased
}

// Stamp gives the stream time for a packet that has none of its own: a header
// has that of the newest frame of its type, metadata that of the newest frame.
// The next frame of the type is not before it.
func (t *Timeline) Stamp(typ media.Type) media.Timestamp {
	if typ != media.TypeAudio && typ != media.TypeVideo {
		return t.last
	}
	var at media.Timestamp
	seen := false
	for i := range t.tracks[kind(typ)] {
		// The least of them, so that no track goes back after it.
		if tr := &t.tracks[kind(typ)][i]; tr.seen && (!seen || tr.last < at) {
			at, seen = tr.last, true
		}
	}
	if seen {
		return at
	}
	tr := t.track(typ, 0)
	tr.last = t.last
	return tr.last
}

// kind is the first index of tracks.
func kind(typ media.Type) int {
	if typ == media.TypeVideo {
		return 1
	}
	return 0
}

func (t *Timeline) track(typ media.Type, id media.TrackID) *track {
	return &t.tracks[kind(typ)][min(int(id), media.MaxTracks-1)]
}

// master is the track that the others follow.
func (t *Timeline) master() *track { return t.track(media.TypeVideo, 0) }

// next is one frame after every track.
func (t *Timeline) next(tr *track) media.Timestamp {
	next, seen := t.last+1, false
	for k := range t.tracks {
		for i := range t.tracks[k] {
			if u := &t.tracks[k][i]; u.seen {
				next, seen = max(next, u.last+u.frame()), true
			}
		}
	}
	if !seen {
		next = t.last + tr.frame()
	}
	return next
}

// accept gives dts out, or the track's last if that is later. kept says that
// the step to it is the publisher's own.
func (t *Timeline) accept(tr *track, dts media.Timestamp, kept bool) media.Timestamp {
	dts = max(dts, tr.last, t.start)
	if kept {
		t.pace.observe(dts - t.last)
	}
	tr.accept(dts, kept)
	t.last = max(t.last, dts)
	return dts
}
