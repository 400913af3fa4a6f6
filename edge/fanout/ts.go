package fanout

import (
	"sync/atomic"

	"tmms/cluster/relay"
	"tmms/media"
	"tmms/media/bytelog"
	"tmms/media/tsmux"
)

// ts makes the TS of a view: a muxer that all viewers of the view share. Each
// entry of the view's log is whole transport packets, the PES packets of one
// access unit or of some audio frames; each place to join at begins with PAT and
// PMT.
type ts struct {
	empty atomic.Bool // there is no track that can be carried

	live    tsmux.Live
	scratch []byte
	held    bytelog.Entry // of the oldest audio frame that is gathered, and not in the log yet
	holds   bool
}

// look bounds the packets ahead that tell which tracks a stream has.
const look = 256

// begin makes the muxer go on at the FLV log's join point j.
func (t *ts) begin(v *view, j relay.Join) {
	t.flush(v)
	if j.Configs != nil {
		for i := range j.Configs.Headers {
			if h := &j.Configs.Headers[i]; h.Track == 0 {
				t.live.Configure(h.Type, h.Body)
			}
		}
	}
	r := v.live.Log().Reader(j.Offset)
	for range look {
		e, raw, ok := r.Next()
		if !ok {
			break
		}
		if e.Track == 0 {
			t.live.Look(e.Type, e.DTS, e.Body(raw))
		}
	}
	t.live.Begin(j.DTS)
	t.empty.Store(!t.live.Carries())
}

// group begins a group with the frame e.
func (t *ts) group(v *view, e *bytelog.Entry) {
	t.scratch = t.live.Group(t.scratch[:0], e.DTS)
	t.commit(v, nil)
}

// append muxes a packet.
func (t *ts) append(v *view, e *bytelog.Entry, raw []byte) {
	if e.Track != 0 {
		return
	}
	t.scratch = t.live.Append(t.scratch[:0], e.Type, e.DTS, e.Body(raw))
	if carries := t.live.Carries(); carries == t.empty.Load() {
		t.empty.Store(!carries)
	}
	t.commit(v, e)
	if cap(t.scratch) > keepScratch {
		t.scratch = nil
	}
}

// keepScratch is the largest work buffer in bytes that outlives a packet.
const keepScratch = 1 << 20

// flush puts what is still gathered into the log, at the end of the stream.
func (t *ts) flush(v *view) {
	t.scratch = t.live.Flush(t.scratch[:0])
	t.commit(v, nil)
}

// commit makes an entry of what e has made due; e is nil if that is all audio of
// before. An entry of audio has the time of its first frame.
func (t *ts) commit(v *view, e *bytelog.Entry) {
	entry := t.held
	if e != nil && (e.Type == media.TypeVideo || !t.holds) {
		entry = *e
	}
	if len(t.scratch) > 0 {
		copy(v.log.Reserve(len(t.scratch)), t.scratch)
		v.log.Commit(bytelog.Entry{
			ID: entry.ID, DTS: entry.DTS, Ingested: entry.Ingested, Config: entry.Config, Run: entry.Run,
			Type: entry.Type, Kind: entry.Kind, Codec: entry.Codec,
		})
	}
	switch gathers := t.live.Gathers(); {
	case !gathers:
		t.holds = false
	case e != nil && e.Kind == media.KindAudio && (len(t.scratch) > 0 || !t.holds):
		t.held, t.holds = *e, true
	}
}

// empty tells that nobody can play the view.
func (v *view) empty() bool { return v.ts != nil && v.ts.empty.Load() }

// soundSpan is the least time between the last sound that a viewer got and the
// next: in TS an entry is some frames of it.
func (v *view) soundSpan(last *lastTrack) media.Timestamp {
	if v.ts != nil {
		return last.step()
	}
	return 1
}

// breaks is what a viewer gets that goes on at the mark at off without what lies
// before it; nil if there is nothing to say.
func (v *view) breaks(off int64) []byte {
	if v.ts == nil {
		return nil
	}
	for _, m := range *v.marks.Load() {
		if m.off == off {
			return m.breaks
		}
	}
	return nil
}

// Of a transport packet (ISO/IEC 13818-1 sections 2.4.3.2 and 2.4.3.4).
const (
	tsPacket     = 188
	tsHeader     = 4
	tsUnitStart  = 0x40 // byte 1
	tsAdaptation = 0x20 // byte 3
	tsPayload    = 0x10 // byte 3
	tsHasPCR     = 0x10 // adaptation field's flags
	tsTicksPerMS = 90
)

// shiftPackets shifts the clock references and the times of PES packets in whole
// transport packets. 33 bits wrap.
func shiftPackets(w *window, raw []byte) {
	for off := 0; off+tsPacket <= len(raw); off += tsPacket {
		shiftPacket(w, raw[off:off+tsPacket], off)
	}
}

func shiftPacket(w *window, b []byte, off int) {
	at := tsHeader
	if b[3]&tsAdaptation != 0 {
		size := int(b[at])
		if size >= 7 && b[at+1]&tsHasPCR != 0 {
			shiftPCR(w, b[at+2:], off+at+2)
		}
		at += 1 + size
	}
	const fixed, stamp = 9, 5 // of a PES header (section 2.4.3.6)
	if b[1]&tsUnitStart == 0 || b[3]&tsPayload == 0 || at+fixed+stamp > len(b) ||
		b[at] != 0 || b[at+1] != 0 || b[at+2] != 1 {
		return // no PES packet begins here; a section begins with a table id behind the pointer field
	}
	flags := b[at+7]
	if flags&0x80 != 0 {
		shiftStamp(w, b[at+fixed:], off+at+fixed)
	}
	if flags&0x40 != 0 && at+fixed+2*stamp <= len(b) {
		shiftStamp(w, b[at+fixed+stamp:], off+at+fixed+stamp)
	}
}

// less takes a shift off a time of 33 bits.
func (w *window) less(ticks uint64) uint64 {
	return (ticks - uint64(w.shift)*tsTicksPerMS) & (1<<33 - 1)
}

// shiftPCR shifts the base of a clock reference: 33 bits, 6 reserved, 9 of extension.
func shiftPCR(w *window, b []byte, off int) {
	t := w.less(uint64(b[0])<<25 | uint64(b[1])<<17 | uint64(b[2])<<9 | uint64(b[3])<<1 | uint64(b[4])>>7)
	w.put(off, byte(t>>25), byte(t>>17), byte(t>>9), byte(t>>1), byte(t<<7)|b[4]&0x7F)
}

// shiftStamp shifts a time of a PES header: 33 bits in three parts, each with a
// marker bit behind it.
func shiftStamp(w *window, b []byte, off int) {
	t := w.less(uint64(b[0]>>1&7)<<30 | uint64(b[1])<<22 | uint64(b[2]>>1)<<15 | uint64(b[3])<<7 | uint64(b[4]>>1))
	w.put(off, b[0]&0xF1|byte(t>>29)&0x0E, byte(t>>22), b[2]&1|byte(t>>14)&0xFE, byte(t>>7), b[4]&1|byte(t<<1))
}
