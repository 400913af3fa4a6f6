package timeline

import "tmms/media"

const (
	// maxFrame bounds what "one frame" means at a cut: a slide show must not
	// leave a hole of a minute.
	maxFrame media.Timestamp = 1000
	// usualVideo and usualAudio stand for a frame until the track has shown
	// its own: 25 fps, and 1024 samples at 44.1 kHz.
	usualVideo media.Timestamp = 40
	usualAudio media.Timestamp = 23
)

// track is what the timeline knows of one track.
type track struct {
	typ     media.Type
	seen    bool            // a frame was given out
	last    media.Timestamp // the latest given out: a lower bound for the next
	base    base            // where its raw time belongs; gen 0: nowhere yet
	frameUS int64           // smoothed distance of frames, 0: not known yet
	gap     bool            // the last step was more than twice as long
}

// frame is the usual distance of two frames, 1 ms to maxFrame.
func (tr *track) frame() media.Timestamp {
	if tr.frameUS == 0 {
		return usual(tr.typ)
	}
	return min(max(media.Timestamp((tr.frameUS+500)/1000), 1), maxFrame)
}

func usual(typ media.Type) media.Timestamp {
	if typ == media.TypeVideo {
		return usualVideo
	}
	return usualAudio
}

// accept notes that dts was given out; learn is false if the step to it says
// nothing about the track.
func (tr *track) accept(dts media.Timestamp, learn bool) {
	if step := dts - tr.last; learn && tr.seen && step > 0 {
		tr.learn(int64(min(step, maxFrame)) * 1000)
	}
	tr.seen, tr.last = true, dts
}

// learn smooths the distance of frames. A gap says nothing about it; two steps of
// that length in a row are a new pace.
func (tr *track) learn(stepUS int64) {
	if tr.frameUS == 0 {
		tr.frameUS = stepUS
		return
	}
	was := tr.gap
	if tr.gap = stepUS > 2*tr.frameUS; tr.gap && !was {
		return
	}
	stepUS = min(stepUS, 2*tr.frameUS)
	tr.frameUS += (stepUS - tr.frameUS) / 8
}
