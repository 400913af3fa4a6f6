package fanout

import (
	"fmt"
	"sync/atomic"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/bytelog"
	"tmms/media/flv"
)

// CodecError says that a stream has codecs that a viewer did not announce
// (Enhanced RTMP v2); [Sink.OnLeave] is told.
type CodecError struct {
	Missing flv.FourCCs
}

// Error names the codecs.
func (e *CodecError) Error() string {
	return fmt.Sprintf("the stream has %v, which the player does not announce in fourCcList", e.Missing)
}

// needs is what a player must take to play a stream as it is at the view's head.
type needs struct {
	all atomic.Uint32 // flv.FourCCs

	// Guarded by the view's mu.
	epoch  uint64
	run    uint32
	joined bool                                     // run is that of the next packet
	tracks [2][media.MaxPublishedTracks]flv.FourCCs // audio, video; of the last packet
}

// note takes a packet into account. What an earlier publisher connection had
// counts no more.
func (n *needs) note(e *bytelog.Entry, raw []byte) {
	if e.Kind == media.KindData || e.Kind == media.KindEnd || int(e.Track) >= media.MaxPublishedTracks {
		return
	}
	if n.joined {
		n.joined, n.run = false, e.Run
	}
	fresh := n.run != e.Run || n.epoch != e.ID.Epoch
	if fresh {
		n.run, n.epoch = e.Run, e.ID.Epoch
		clear(n.tracks[:])
	}
	at := &n.tracks[typeIndex(e.Type)][e.Track]
	s := flv.FourCCsOf(e.Type, e.Body(raw))
	if *at == s && !fresh {
		return
	}
	*at = s
	var all flv.FourCCs
	for k := range n.tracks {
		for _, s := range n.tracks[k] {
			all |= s
		}
	}
	n.all.Store(uint32(all))
}

// begin takes the configurations in force at a join point into account: they go
// ahead of its packets.
func (n *needs) begin(j relay.Join) {
	if j.Configs == nil {
		return
	}
	all := flv.FourCCs(0)
	for i := range j.Configs.Headers {
		h := &j.Configs.Headers[i]
		if int(h.Track) >= media.MaxPublishedTracks {
			continue
		}
		s := flv.FourCCsOf(h.Type, h.Body)
		n.tracks[typeIndex(h.Type)][h.Track] = s
		all |= s
	}
	n.epoch, n.joined = j.Epoch, true
	n.all.Store(uint32(all))
}

// typeIndex is the first index of needs.tracks.
func typeIndex(t media.Type) int {
	if t == media.TypeVideo {
		return 1
	}
	return 0
}

// missing is what a viewer who takes the set lacks.
func (v *view) missing(takes flv.FourCCs) flv.FourCCs {
	return flv.FourCCs(v.needs.all.Load()) &^ takes
}

// screen looks at all viewers once the stream has become another: those who can't
// play it leave where the message in hand ends.
func (ch *channel) screen() {
	now := flv.FourCCs(ch.view.needs.all.Load())
	if now == ch.needs {
		return
	}
	ch.needs = now
	for _, b := range ch.buckets {
		if b == nil {
			continue
		}
		for _, v := range b.viewers {
			if now&^v.takes != 0 {
				v.flags |= flagLeaving
			}
		}
	}
}

// stopReason is why a viewer leaves that has been told to.
func (v *Viewer) stopReason() error {
	if missing := v.bucket.channel.missing(v); missing != 0 {
		return &CodecError{Missing: missing}
	}
	return ErrStopped
}

// missing is what v lacks; nothing while it waits.
func (ch *channel) missing(v *Viewer) flv.FourCCs {
	if ch.view == nil {
		return 0
	}
	return ch.view.missing(v.takes)
}
