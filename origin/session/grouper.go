package session

import "tmms/media"

// In ms of stream time.
const (
	// groupSpan is how long a group without keyframes lasts.
	groupSpan media.Timestamp = 1000
	// videoPause is after how long without a picture the sound goes on alone, if
	// that is also some times longer than from picture to picture: else a stream
	// whose encoder has lost its camera would be one group without an end, which
	// nobody can join once it is longer than the log.
	videoPause media.Timestamp = 2000
)

// grouper gives packets their identity: it numbers groups, and packets in them.
type grouper struct {
	epoch uint64
	group uint64
	index uint32
	open  bool            // a packet was numbered
	start media.Timestamp // of the group

	cut      bool // the next packet starts a group: it is a run's first
	hasVideo bool // the run has a keyframe
	master   media.TrackID
	picture  media.Timestamp // of the last one
	step     media.Timestamp // between the last two
}

// startRun makes the next packet start a group.
func (g *grouper) startRun() { g.cut, g.hasVideo = true, false }

// starts says whether a frame starts a group: a keyframe of the run's first
// video track does, that with the lowest id; without video, or while it pauses, a frame does that comes a second
// after the group's start.
func (g *grouper) starts(kind media.Kind, track media.TrackID, dts media.Timestamp) bool {
	switch {
	case !g.open || g.cut:
		return true
	case kind == media.KindKey:
		return !g.hasVideo || track <= g.master
	}
	return kind == media.KindAudio && !g.watching(dts) && dts-g.start >= groupSpan
}

// begin starts a group at dts.
func (g *grouper) begin(dts media.Timestamp) {
	if g.open {
		g.group++
	}
	g.open, g.cut, g.index, g.start = true, false, 0, dts
}

// watching tells that the run has video which does not pause.
func (g *grouper) watching(dts media.Timestamp) bool {
	return g.hasVideo && dts-g.picture < max(videoPause, 4*g.step)
}

// note notes a frame; the master is the lowest track that has had a keyframe in
// the run.
func (g *grouper) note(kind media.Kind, track media.TrackID, dts media.Timestamp) {
	if kind == media.KindAudio {
		return
	}
	if kind == media.KindKey && (!g.hasVideo || track < g.master) {
		g.hasVideo, g.master, g.picture, g.step = true, track, dts, 0
	}
	if dts > g.picture {
		g.picture, g.step = dts, dts-g.picture
	}
}

// next numbers a packet of the present group.
func (g *grouper) next() media.PacketID {
	id := media.PacketID{Epoch: g.epoch, Group: g.group, Index: g.index}
	g.index++
	return id
}
