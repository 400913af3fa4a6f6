package fanout

import (
	"encoding/binary"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// shifted is a piece of a log with earlier times, for the viewers of a pass that
// have skipped as much and stand at the same place.
type shifted struct {
	view  *view
	from  int64
	shift int32
	size  int
	buf   []byte // viewerBudget long once there was a viewer that has skipped
}

// piece gives b, which lies at from in the log, with shift taken off its times.
// What it gives is valid until it is called again; it is not longer than
// viewerBudget and may end inside a message.
func (s *shifted) piece(v *view, from int64, b []byte, shift int32) []byte {
	b = b[:min(len(b), viewerBudget)]
	if s.view == v && s.from == from && s.shift == shift && s.size == len(b) {
		return s.buf[:len(b)]
	}
	out := s.copy(b)
	*s = shifted{view: v, from: from, shift: shift, size: len(b), buf: s.buf}
	r := v.log.Reader(from)
	for end := from + int64(len(b)); ; {
		e, raw, ok := r.Next()
		if !ok || e.Off >= end {
			return out
		}
		w := window{out: out, at: e.Off - from, shift: uint32(shift)}
		v.format.shift(&w, raw)
	}
}

// rest is piece for b, which lies at from in the message that a viewer has in
// hand.
func (s *shifted) rest(f Format, hand *slow, from int64, b []byte, shift int32) []byte {
	out := s.copy(b)
	f.shift(&window{out: out, at: hand.handAt - from, shift: uint32(shift)}, hand.hand)
	return out
}

// copy makes b the buffer's, so far as it has room.
func (s *shifted) copy(b []byte) []byte {
	if s.buf == nil {
		s.buf = make([]byte, viewerBudget)
	}
	s.view = nil
	return s.buf[:copy(s.buf, b)]
}

// forget drops the reference to the view.
func (s *shifted) forget() { s.view = nil }

// window is where a message's bytes lie in a piece, or would lie: a message may
// begin before it and end behind it.
type window struct {
	out   []byte
	at    int64 // of the message's first byte in out
	shift uint32
}

// put replaces bytes of the message, those that are in the piece.
func (w *window) put(off int, b ...byte) {
	for i, c := range b {
		if at := w.at + int64(off+i); at >= 0 && at < int64(len(w.out)) {
			w.out[at] = c
		}
	}
}

// shift takes w.shift off the times in raw, which is one entry of a log in this
// format: one message, or several.
func (f Format) shift(w *window, raw []byte) {
	switch f {
	case RTMP:
		for off := 0; off < len(raw); {
			off += shiftMessage(w, raw, off)
		}
	case WebSocket:
		shiftTags(w, raw, wsPayload(raw))
	default:
		shiftTags(w, raw, 0)
	}
}

// wsPayload is where the payload of an unmasked frame begins (RFC 6455 section 5.2).
func wsPayload(raw []byte) int {
	switch raw[1] {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}

// shiftTags shifts FLV tags: the low 24 bits of the time, then the high 8 (FLV
// 10.1 annex E.4.1).
func shiftTags(w *window, raw []byte, off int) {
	for off+flv.TagHeaderSize <= len(raw) {
		h := raw[off:]
		t := uint32(h[4])<<16 | uint32(h[5])<<8 | uint32(h[6]) | uint32(h[7])<<24
		if !timeless(media.Type(h[0]), t) {
			t -= w.shift
			w.put(off+4, byte(t>>16), byte(t>>8), byte(t), byte(t>>24))
		}
		off += flv.TagSize(int(h[1])<<16 | int(h[2])<<8 | int(h[3]))
	}
}

// timeless tells that a message stands outside of time: metadata of a prefix.
func timeless(t media.Type, at uint32) bool { return t == media.TypeData && at == 0 }

// Of a type 0 chunk as rtmp.AppendMedia writes it (RTMP 1.0 section 5.3.1).
const (
	chunkTime, chunkLength, chunkType = 1, 4, 7
	chunkHeader                       = 12
	chunkExtended                     = 0xFFFFFF
)

// shiftMessage shifts the RTMP message at off and gives its length. Where the
// extended field is in use it stays in use, with the marker, even if the time is
// small now: lengths do not change. A message without it is younger than 0xFFFFFF
// ms (see message), so that its time does not wrap; nor does it fall below 0, for a
// viewer cannot have skipped more than there was.
func shiftMessage(w *window, raw []byte, off int) int {
	h := raw[off:]
	if len(h) < chunkHeader {
		return len(h)
	}
	t := uint32(h[chunkTime])<<16 | uint32(h[chunkTime+1])<<8 | uint32(h[chunkTime+2])
	body := int(h[chunkLength])<<16 | int(h[chunkLength+1])<<8 | int(h[chunkLength+2])
	typ := media.Type(h[chunkType])
	more := max(body-1, 0) / rtmp.PlayChunkSize // type 3 chunks
	if t < chunkExtended {
		if !timeless(typ, t) {
			t -= min(w.shift, t)
			w.put(off+chunkTime, byte(t>>16), byte(t>>8), byte(t))
		}
		return chunkHeader + body + more
	}
	if len(h) < chunkHeader+4 {
		return len(h)
	}
	t = binary.BigEndian.Uint32(h[chunkHeader:]) - w.shift
	var field [4]byte
	binary.BigEndian.PutUint32(field[:], t)
	at := off + chunkHeader
	w.put(at, field[:]...)
	for range more {
		at += 4 + rtmp.PlayChunkSize + 1 // behind the next chunk's basic header
		w.put(at, field[:]...)
	}
	return chunkHeader + 4 + body + more*5
}
