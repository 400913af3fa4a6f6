package fanout

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"tmms/cluster/relay"
	"tmms/media"
)

// heard is a message, what a player makes of the bytes.
type heard struct {
	typ  media.Type
	time uint32
	body []byte
}

// parse takes a viewer's bytes apart as a player does; an unfinished last
// message is left out. It shares no code with what made them.
func parse(t *testing.T, f Format, b []byte) []heard {
	t.Helper()
	switch f {
	case RTMP:
		return parseChunks(t, b)
	case WebSocket:
		var all []heard
		for first := true; ; first = false {
			payload, n := parseFrame(b)
			if n == 0 {
				return all
			}
			if first {
				payload = payload[13:] // the FLV file header
			}
			all = append(all, parseTags(t, payload, false)...)
			b = b[n:]
		}
	default:
		return parseTags(t, b[min(13, len(b)):], true)
	}
}

func parseFrame(b []byte) (payload []byte, n int) {
	if len(b) < 2 {
		return nil, 0
	}
	head, size := 2, int(b[1])
	switch {
	case size == 126 && len(b) >= 4:
		head, size = 4, int(binary.BigEndian.Uint16(b[2:]))
	case size == 127 && len(b) >= 10:
		head, size = 10, int(binary.BigEndian.Uint64(b[2:]))
	case size > 125:
		return nil, 0
	}
	if len(b) < head+size {
		return nil, 0
	}
	return b[head : head+size], head + size
}

func parseTags(t *testing.T, b []byte, mayEnd bool) (all []heard) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < 15 {
			break
		}
		size := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		if len(b) < 15+size {
			break
		}
		if got := binary.BigEndian.Uint32(b[11+size:]); got != uint32(11+size) {
			t.Fatalf("PreviousTagSize is %d behind %d bytes", got, size)
		}
		all = append(all, heard{
			media.Type(b[0]), uint32(b[4])<<16 | uint32(b[5])<<8 | uint32(b[6]) | uint32(b[7])<<24, b[11 : 11+size],
		})
		b = b[15+size:]
	}
	if len(b) > 0 && !mayEnd {
		t.Fatalf("%d bytes behind the last tag of a frame", len(b))
	}
	return all
}

func parseChunks(t *testing.T, b []byte) (all []heard) {
	t.Helper()
	const chunk = 65536
	for len(b) >= 12 {
		if b[0]>>6 != 0 {
			t.Fatalf("a message begins with a chunk of type %d", b[0]>>6)
		}
		m := heard{typ: media.Type(b[7]), time: uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])}
		size, ext := int(b[4])<<16|int(b[5])<<8|int(b[6]), 0
		if m.time == 0xFFFFFF {
			if len(b) < 16 {
				return all
			}
			m.time, ext = binary.BigEndian.Uint32(b[12:]), 4
		}
		id := b[0] & 63
		rest := b[12+ext:]
		for first := true; len(m.body) < size; first = false {
			if !first {
				if len(rest) < 1+ext {
					return all
				}
				if rest[0] != 3<<6|id {
					t.Fatalf("chunk begins with %#x, want type 3 of stream %d", rest[0], id)
				}
				if ext > 0 && binary.BigEndian.Uint32(rest[1:]) != m.time {
					t.Fatalf("type 3 chunk repeats the time %d, want %d", binary.BigEndian.Uint32(rest[1:]), m.time)
				}
				rest = rest[1+ext:]
			}
			n := min(chunk, size-len(m.body))
			if len(rest) < n {
				return all
			}
			m.body = append(m.body, rest[:n]...)
			rest = rest[n:]
		}
		all, b = append(all, m), rest
	}
	return all
}

// original is the packet that a body was pushed in; nil for what has no number.
func (p *publisher) original(m heard) *media.Packet {
	at := 2
	if m.typ == media.TypeVideo {
		at = 5
	}
	if len(m.body) < at+8 || m.body[1] == 0 {
		return nil
	}
	n := binary.BigEndian.Uint64(m.body[at:])
	if n >= uint64(len(p.all)) {
		return nil
	}
	return &p.all[n]
}

// skipped is what checkClock found.
type skipped struct {
	skips int
	last  media.Timestamp // of the stream, of the last frame that the viewer has whole
}

// checkClock wants a clock that never goes back on a track, moves by less than
// 100 ms at a time, and is behind the stream's by one number for all tracks,
// which changes in front of a keyframe (or sound, without video) only.
func checkClock(t *testing.T, p *publisher, list []heard) (s skipped) {
	t.Helper()
	last := map[media.Type]uint32{}
	var head uint32
	var shift int64 = -1
	for i, m := range list {
		o := p.original(m)
		if o == nil {
			continue
		}
		if before, ok := last[m.typ]; ok && int32(m.time-before) < 0 {
			t.Fatalf("message %d: %v goes back from %d to %d", i, m.typ, before, m.time)
		}
		if head != 0 && int32(m.time-head) >= 100 {
			t.Fatalf("message %d: %v steps from %d to %d", i, m.typ, head, m.time)
		}
		now := int64(uint32(o.DTS) - m.time)
		if shift >= 0 && now != shift {
			if o.Kind != media.KindKey && last[media.TypeVideo] != 0 {
				t.Fatalf("message %d: a skip to a frame of kind %v", i, o.Kind)
			}
			if now < shift {
				t.Fatalf("message %d: the shift falls from %d to %d", i, shift, now)
			}
			s.skips++
		}
		shift, last[m.typ] = now, m.time
		if head == 0 || int32(m.time-head) > 0 {
			head = m.time
		}
		s.last = max(s.last, o.DTS)
	}
	return s
}

// slowShow pushes a stream for so long to a viewer that takes drip bytes each
// 40 ms, and checks how far it is behind all the time.
func slowShow(t *testing.T, f Format, start media.Timestamp, seconds, drip int, push func(p *publisher, i int)) *fakeSink {
	t.Helper()
	hub := relay.NewHub()
	p := publish(t, hub)
	p.dts = start
	p.headers()
	r := newRig(t, hub)
	push(p, 0)
	healthy, slow := r.attach(f), &fakeSink{conn: fakeConn{room: drip}}
	r.attachSink(slow, f)
	for i := 1; i < seconds*25; i++ {
		push(p, i)
		r.run(40 * time.Millisecond)
		if slow.conn.room = drip; slow.v.bucket != nil {
			slow.v.OnWritable()
		}
	}
	if slow.left != nil {
		t.Fatalf("the slow viewer left: %v", slow.left)
	}
	list := parse(t, f, slow.conn.got)
	s := checkClock(t, p, list)
	if n := r.e.Stats().Skips() - int64(s.skips); s.skips == 0 || n < 0 || n > 1 { // the last one may not show yet
		t.Errorf("%d skips were seen, %d counted", s.skips, r.e.Stats().Skips())
	}
	const latency, gop = 3000, 1000
	if behind := p.dts - s.last; behind > 2*latency+gop+200 {
		t.Errorf("the slow viewer is %d ms behind", behind)
	}
	if d := slow.v.Shift(); d < time.Duration(seconds)*time.Second/3 {
		t.Errorf("shifted by %v in %d s", d, seconds)
	}
	if h := checkClock(t, p, parse(t, f, healthy.conn.got)); h.skips != 0 || p.dts-h.last > 200 {
		t.Errorf("the healthy viewer: %+v at %d", h, p.dts)
	}
	return slow
}

// A viewer that takes less than the stream has skips groups, again and again, and
// sees one clock.
//
// Requirement: S7
func TestSlowViewerSkips(t *testing.T) {
	usual := func(p *publisher, i int) { p.frame(i%25 == 0) }
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		for name, start := range map[string]media.Timestamp{
			"from 0": 0, "over 24 bits": 0xFFFFFF - 20_000, "above 24 bits": 1 << 25, "over 31 bits": 1<<31 - 20_000,
			"over 32 bits": 1<<32 - 20_000,
		} {
			t.Run(fmt.Sprint(f, " ", name), func(t *testing.T) { slowShow(t, f, start, 60, 500, usual) })
		}
		for name, start := range map[string]media.Timestamp{"24": 1<<24 - 15_000, "32": 1<<32 - 15_000} {
			if testing.Short() && f != RTMP { // the long one of each format but RTMP, which has the most to change
				continue
			}
			t.Run(fmt.Sprint(f, " large frames over bits ", name), func(t *testing.T) {
				slowShow(t, f, start, 30, 40_000, func(p *publisher, i int) {
					p.size = 90_000 // over a chunk's size, and a keyframe over a turn's budget
					p.frame(i%25 == 0)
				})
			})
		}
		t.Run(fmt.Sprint(f, " a few bytes at a time"), func(t *testing.T) {
			slowShow(t, f, 0xFFFFFF-10_000, 40, 7, func(p *publisher, i int) {
				if p.size = 4; i%25 == 0 {
					p.push(media.TypeVideo, media.KindKey, numbered(0x17, 5, 14, len(p.all)))
				} else if i%2 == 0 {
					p.push(media.TypeVideo, media.KindDelta, numbered(0x27, 5, 14, len(p.all)))
				}
				p.dts += 40
			})
		})
	}
}

// numbered is a body that names its packet.
func numbered(first byte, at, size, n int) []byte {
	b := make([]byte, size)
	b[0], b[1] = first, 1
	binary.BigEndian.PutUint64(b[at:], uint64(n))
	return b
}

// Requirement: S7 (without video)
func TestSlowListenerSkips(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		t.Run(f.String(), func(t *testing.T) {
			slowShow(t, f, 0, 60, 100, func(p *publisher, i int) {
				if i%25 == 0 {
					p.id.Group++
					p.id.Index = 0
				}
				for range 2 {
					p.push(media.TypeAudio, media.KindAudio, numbered(0xAF, 2, 200, len(p.all)))
					p.dts += 20
				}
			})
		})
	}
}

// Sound that lies before or behind its picture in the log does not go back at a skip.
//
// Requirement: S7
func TestSkipWithOffsetSound(t *testing.T) {
	for _, offset := range []media.Timestamp{-60, 60} {
		t.Run(fmt.Sprint(offset), func(t *testing.T) {
			slowShow(t, FLV, 1000, 60, 500, func(p *publisher, i int) {
				kind, first := media.KindDelta, byte(0x27)
				if i%25 == 0 {
					kind, first = media.KindKey, 0x17
				}
				p.push(media.TypeVideo, kind, numbered(first, 5, 900, len(p.all)))
				for range 2 {
					p.dts += offset
					p.push(media.TypeAudio, media.KindAudio, numbered(0xAF, 2, 200, len(p.all)))
					p.dts += 20 - offset
				}
			})
		})
	}
}

// What has changed while a viewer was behind comes ahead of the keyframe that it
// skips to, once, at that frame's time.
//
// Requirement: S7
func TestSkipBringsNewConfigs(t *testing.T) {
	changed := slices.Concat(videoHeader[:5], []byte("other"))
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		t.Run(f.String(), func(t *testing.T) {
			slow := slowShow(t, f, 0, 40, 500, func(p *publisher, i int) {
				if i == 250 {
					p.push(media.TypeVideo, media.KindConfig, changed)
				}
				p.frame(i%25 == 0)
			})
			var configs []int
			list := parse(t, f, slow.conn.got)
			for i, m := range list {
				if m.typ == media.TypeVideo && m.body[1] == 0 {
					configs = append(configs, i)
				}
			}
			if len(configs) != 2 || !slices.Equal(list[configs[1]].body, changed) {
				t.Fatalf("video configs at %v", configs)
			}
			for _, m := range list[configs[1]:] {
				if m.typ == media.TypeVideo && m.body[1] != 0 {
					if m.body[0] != 0x17 || m.time != list[configs[1]].time {
						t.Errorf("the config at %d is followed by %#x at %d", list[configs[1]].time, m.body[0], m.time)
					}
					break
				}
			}
		})
	}
}

func TestShiftedFlushDoesNotAllocate(t *testing.T) {
	for _, f := range []Format{FLV, RTMP, WebSocket} {
		t.Run(f.String(), func(t *testing.T) {
			hub := relay.NewHub()
			p := publish(t, hub).headers()
			p.group()
			r := newRig(t, hub)
			conns, sinks := make([]discard, 10), make([]fakeSink, 10)
			for i := range sinks {
				if err := r.e.Attach(&sinks[i].v, &conns[i], &sinks[i], options(f), 0); err != nil {
					t.Fatal(err)
				}
			}
			r.run(100 * time.Millisecond)
			for i := range sinks {
				sinks[i].v.shift = int32(1 + i/5)
			}
			p.frame(false)
			r.run(100 * time.Millisecond) // the buffer is made
			p.all = nil
			for range 20 {
				p.frame(false)
			}
			sinks[0].v.bucket.channel.view.advance()
			before := conns[0].n
			if n := testing.AllocsPerRun(20, func() { r.run(Tick) }); n != 0 {
				t.Errorf("%v allocations in a tick", n)
			}
			if conns[0].n == before {
				t.Error("nothing was sent")
			}
		})
	}
}
