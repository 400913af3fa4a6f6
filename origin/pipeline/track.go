package pipeline

import (
	"tmms/media"
	"tmms/media/mpegts"
	"tmms/media/tsmux"
)

// program is a track as the muxer takes it.
type program struct{ mpegts.Track }

// same says that t is this track in the same configuration.
func (p program) same(t mpegts.Track) bool {
	return tsmux.Same(p.Track, t)
}

// track is what the pipeline knows of the video or the audio.
type track struct {
	typ     media.Type
	next    program // as announced last
	active  program // as the muxer has it; CodecUnknown: not in the program
	seen    bool    // it had a frame that can be used
	seenRun bool    // in this run
	needKey bool    // video: the next frame to use is a keyframe

	started   bool
	last      media.Timestamp    // DTS of the last frame
	steps     [2]media.Timestamp // the last distances
	inSegment int                // frames in the open segment
}

// announce takes a changed configuration.
func (tr *track) announce(t mpegts.Track) {
	tr.next = program{tsmux.Clone(t)}
	tr.needKey = tr.typ == media.TypeVideo
}

// observe notes a frame that is to be used.
func (tr *track) observe(dts media.Timestamp) {
	if tr.started {
		tr.steps = [2]media.Timestamp{max(dts-tr.last, 0), tr.steps[0]}
	}
	tr.started, tr.last = true, dts
	tr.seen, tr.seenRun = true, true
}

// step is the distance in which the next frame may be expected; one gap does
// not raise it.
func (tr *track) step() media.Timestamp { return min(tr.steps[0], tr.steps[1]) }
