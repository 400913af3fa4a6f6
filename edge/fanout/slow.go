package fanout

import (
	"time"

	"tmms/media"
	"tmms/media/bytelog"
)

// slow is what is known of a viewer whose socket was full: since when it is
// behind, and what it has heard last, so that its clock goes on at a skip even
// if the log does not hold that any more. A viewer that keeps up has none.
type slow struct {
	even     time.Duration // loop time when it had everything, or would have had
	progress time.Duration // loop time when the socket took the last byte

	start        int64 // offset of the first byte that it was sent since it joined or skipped
	at           int64 // the cursor that the following is of; -1: none yet
	video, audio lastTrack
	next         media.Timestamp // of what comes next
	config       uint32          // version of the configs that it has

	// The message in hand, whole, while it is stalled in it: the log may drop it. It
	// is a part of the log's block, which others hold too.
	hand   []byte
	handAt int64         // offset of its first byte
	held   time.Duration // loop time since when
}

// holds tells that the byte at off is one of the message in hand.
func (s *slow) holds(off int64) bool {
	return s != nil && off >= s.handAt && off < s.handAt+int64(len(s.hand))
}

// strained notes what a send did to a viewer that is behind, or is now.
func (v *Viewer) strained(took, blocked bool) {
	if s := v.slow; took && s != nil {
		s.progress = v.bucket.channel.engine.now
		if v.flags&flagMid == 0 {
			s.hand = nil
		}
	}
	if blocked {
		v.block(took)
	}
}

// block notes that the socket is full; took tells that it took something before.
func (v *Viewer) block(took bool) {
	v.flags |= flagBlocked
	ch := v.bucket.channel
	now := ch.engine.now
	s := v.strain()
	if v.flags&flagBehind == 0 {
		v.flags |= flagBehind
		s.even, took = now, true
		if v.flags&flagFresh != 0 { // it joined at most the latency target behind, or had no choice
			s.even = v.since - ch.stream.latency
		}
	}
	if took {
		s.progress = now
	}
	if v.flags&flagJoined != 0 {
		v.hear()
	}
}

// strain gives the viewer its slow part.
func (v *Viewer) strain() *slow {
	if v.slow == nil {
		v.slow = v.bucket.channel.engine.borrowSlow()
		*v.slow = slow{start: v.start(), at: -1}
	}
	return v.slow
}

// relax takes the slow part of a viewer that has everything again, unless it
// knows of a skip: of 15,000 viewers on a full loop most have once been behind.
func (v *Viewer) relax() {
	if s := v.slow; s != nil && s.start == v.start() {
		v.slow = nil
		v.bucket.channel.engine.giveBackSlow(s)
	}
}

// start is the offset of the first byte that a viewer was sent who has never skipped.
func (v *Viewer) start() int64 { return v.cursor - (v.sent - int64(v.prefixOff)) }

// maxSpareSlow bounds the slow parts that an engine keeps for the next ones.
const maxSpareSlow = 256

func (e *Engine) borrowSlow() *slow {
	n := len(e.spare)
	if n == 0 {
		return &slow{}
	}
	s := e.spare[n-1]
	e.spare = e.spare[:n-1]
	return s
}

func (e *Engine) giveBackSlow(s *slow) {
	if len(e.spare) < maxSpareSlow {
		*s = slow{}
		e.spare = append(e.spare, s)
	}
}

// check condemns a viewer that waits for its socket for too long, and holds the
// message in hand for one that does not.
func (v *Viewer) check(p *pass) {
	s, now := v.slow, p.channel.engine.now
	switch {
	case now-s.progress >= media.StallTimeout:
		v.leave(ErrStalled)
	case v.flags&flagMid == 0 || v.prefix != nil:
	case !s.holds(v.cursor):
		r := p.view.log.Reader(v.cursor)
		e, raw, ok := r.Next()
		if !ok {
			v.leave(ErrOvertaken)
			return
		}
		s.hand, s.handAt, s.held = raw, e.Off, now
	case now-s.held >= media.StallTimeout && v.cursor < p.view.log.Tail():
		v.leave(ErrOvertaken)
	}
}

// inTime lets a viewer that is late skip, if it stands between two messages;
// else it gets the rest of the one in hand first. false: it has left.
func (v *Viewer) inTime(p *pass) bool {
	switch {
	case v.flags&flagJoined == 0:
	case !v.late(p):
		v.flags &^= flagLate
	case v.flags&flagMid != 0:
		v.flags |= flagLate
	default:
		v.flags &^= flagLate
		return v.skip(p)
	}
	return true
}

// late tells that the viewer should skip: more than twice the latency target
// lies between it and the newest packet, and there is a newer group to be in.
// Only its own socket makes a viewer late: it has not had everything for as
// long by the loop's clock too. What comes in a burst, or is flushed rarely,
// finds viewers far behind who can take it. A viewer whose only choice is a long
// group is not late; one that has still to get its prefix waits for its end.
func (v *Viewer) late(p *pass) bool {
	if v.prefix != nil {
		return false
	}
	log := p.view.log
	switch {
	case v.cursor < log.Tail(): // what it should get next is gone
		return v.cursor < p.view.newest()
	case v.flags&flagBehind == 0, v.cursor >= p.view.newest():
		return false
	}
	limit := 2 * p.channel.stream.latency
	if p.channel.engine.now-v.slow.even <= limit {
		return false
	}
	e, ok := log.At(v.cursor)
	return !ok || (p.view.live.LastDTS()-e.DTS).Duration() > limit
}

// hear notes what the viewer was sent last.
func (v *Viewer) hear() {
	ch := v.bucket.channel
	s := v.strain()
	s.hear(ch.view.log, v.cursor)
	if !s.video.seen && !s.audio.seen && v.cursor > s.start {
		// All of it is gone, in a burst that was longer than the log: nothing that it
		// was sent is newer than what there was when its slot was flushed.
		s.video = lastTrack{dts: v.bucket.dts, seen: true}
		s.audio = s.video
	}
}

// lookBack bounds the entries that are looked at for what a viewer was sent
// last, and gets first after a skip.
const lookBack = 64

// hear looks back from the cursor for the last frames of video and audio. What
// is not found, because it came long ago, stays as it was noted before.
func (s *slow) hear(log *bytelog.Log, cursor int64) {
	if s.at == cursor {
		return
	}
	s.at = cursor
	if e, ok := log.At(cursor); ok {
		s.next = e.DTS
		if cursor == s.start {
			s.config = e.Config
		}
	}
	var video, audio lastTrack
	for off, n := cursor, 0; off > s.start && n < lookBack; n++ {
		e, ok := log.At(off - 1)
		if !ok || video.two && audio.two {
			break
		}
		if n == 0 {
			s.config = e.Config
		}
		switch e.Kind {
		case media.KindAudio:
			audio.note(e.DTS)
		case media.KindKey, media.KindDelta:
			video.note(e.DTS)
		default:
		}
		off = e.Off
	}
	s.video, s.audio = s.video.then(video), s.audio.then(audio)
}

// skipTo notes a skip by d ms of stream time: nothing was heard since, but the
// stream's time of it is another.
func (s *slow) skipTo(off int64, d media.Timestamp, config uint32) {
	s.start, s.at, s.config = off, off, config
	s.next += d
	s.video.move(d)
	s.audio.move(d)
}

// lastTrack is the newest frame of a kind, and the one before it, in stream time.
type lastTrack struct {
	dts, before media.Timestamp
	seen, two   bool
}

func (t *lastTrack) note(dts media.Timestamp) {
	switch {
	case !t.seen:
		t.dts, t.seen = dts, true
	case !t.two:
		t.before, t.two = dts, true
	}
}

// then puts what was found now over what is known.
func (t lastTrack) then(found lastTrack) lastTrack {
	switch {
	case !found.seen, t.seen && found.dts == t.dts && !found.two:
		return t
	case t.seen && !found.two:
		found.before, found.two = t.dts, true
	}
	return found
}

func (t *lastTrack) move(d media.Timestamp) {
	t.dts += d
	t.before += d
}
