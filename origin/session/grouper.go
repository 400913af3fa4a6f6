package session

import "tmms/media"

// groupSpan is how long a group without keyframes lasts, in ms of stream time.
const groupSpan media.Timestamp = 1000

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
}

// startRun makes the next packet start a group.
func (g *grouper) startRun() { g.cut, g.hasVideo = true, false }

// starts says whether a frame starts a group: a keyframe of the run's first
// video track does; without video a frame does that comes a second after the
// group's start.
func (g *grouper) starts(kind media.Kind, track media.TrackID, dts media.Timestamp) bool {
	switch {
	case !g.open || g.cut:
		return true
	case kind == media.KindKey:
		return !g.hasVideo || track == g.master
	}
	return kind == media.KindAudio && !g.hasVideo && dts-g.start >= groupSpan
}

// begin starts a group at dts.
func (g *grouper) begin(dts media.Timestamp) {
	if g.open {
		g.group++
	}
	g.open, g.cut, g.index, g.start = true, false, 0, dts
}

// keyframe notes that the run has video; the first track is the master.
func (g *grouper) keyframe(track media.TrackID) {
	if !g.hasVideo {
		g.hasVideo, g.master = true, track
	}
}

// next numbers a packet of the present group.
func (g *grouper) next() media.PacketID {
	id := media.PacketID{Epoch: g.epoch, Group: g.group, Index: g.index}
	g.index++
	return id
}
