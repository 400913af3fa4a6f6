package fanout

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"time"

	astits "github.com/asticode/go-astits"

	"tmms/cluster/relay"
	"tmms/media"
)

// Configurations that a muxer can read: H.264 320x240, AAC 44.1 kHz stereo.
const (
	realVideo = "170000000001" + "42c00dffe100166742c00dda0507ec0440000003004000000c83c50aa801000468ce0fc8"
	realAudio = "af001210"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// realHeaders pushes configurations that TS can be made of.
func (p *publisher) realHeaders() *publisher {
	p.t.Helper()
	p.push(media.TypeAudio, media.KindConfig, unhex(p.t, realAudio))
	p.push(media.TypeVideo, media.KindConfig, unhex(p.t, realVideo))
	return p
}

// realFrame pushes one picture of one NAL unit with its audio, and 40 ms pass.
func (p *publisher) realFrame(key bool) {
	size, kind, first, nal := p.size, media.KindDelta, byte(0x27), byte(0x41)
	if key {
		size, kind, first, nal = 5*p.size, media.KindKey, 0x17, 0x65
	}
	body := append([]byte{first, 1, 0, 0, 0, byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)},
		bytes.Repeat([]byte{0xAA}, size)...)
	body[9] = nal
	p.push(media.TypeVideo, kind, body)
	for range 2 {
		p.push(media.TypeAudio, media.KindAudio, append([]byte{0xAF, 1}, bytes.Repeat([]byte{0x55}, 200)...))
		p.dts += 20
	}
}

func (p *publisher) realGroup() {
	for i := range 25 {
		p.realFrame(i == 0)
	}
}

// seenTS is what a stranger makes of a viewer's bytes.
type seenTS struct {
	breaks       int // packets with discontinuity_indicator
	video, audio []int64
	keys         []int64 // PTS of units with random_access_indicator
	types        []astits.StreamType
	pmts         int
	firstPIDs    []uint16
}

const (
	pidVideo = 0x100
	pidAudio = 0x101
	ticks33  = 1<<33 - 1
)

// judgeTS demuxes with go-astits. It fails on a counter that does not continue
// without a break, on clock references that are over 40 ms apart or go back, on
// tables that are over 500 ms apart, and on times that go back.
func judgeTS(t *testing.T, b []byte) (s seenTS) {
	t.Helper()
	if len(b)%188 != 0 {
		t.Fatalf("%d bytes are not whole packets", len(b))
	}
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(b), astits.DemuxerOptPacketSize(188))
	last := map[uint16]uint8{}
	var pcr, tables int64 = -1, -1
	for n := 0; ; n++ {
		p, err := d.NextPacket()
		if errors.Is(err, astits.ErrNoMorePackets) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		h, af := p.Header, p.AdaptationField
		if len(s.firstPIDs) < 3 {
			s.firstPIDs = append(s.firstPIDs, h.PID)
		}
		broken := af != nil && af.DiscontinuityIndicator
		if broken {
			s.breaks++
		}
		if prev, ok := last[h.PID]; ok && !broken {
			want := prev
			if h.HasPayload {
				want = (prev + 1) & 15
			}
			if h.ContinuityCounter != want {
				t.Fatalf("packet %d, PID %#x: counter %d, want %d", n, h.PID, h.ContinuityCounter, want)
			}
		}
		last[h.PID] = h.ContinuityCounter
		if af != nil && af.HasPCR {
			if step := (af.PCR.Base - pcr) & ticks33; pcr >= 0 && step > 3600 {
				t.Fatalf("packet %d: PCR %d after %d, %d ticks apart", n, af.PCR.Base, pcr, step)
			}
			pcr = af.PCR.Base
			if tables >= 0 && (pcr-tables)&ticks33 > 45000 {
				t.Fatalf("packet %d: tables %d ticks ago", n, (pcr-tables)&ticks33)
			}
		}
		if h.PID == 0x1000 && h.HasPayload {
			tables = max(pcr, 0)
			if pcr < 0 {
				tables = -1
			}
		}
		if h.PayloadUnitStartIndicator && (h.PID == pidVideo || h.PID == pidAudio) {
			pts, dts := stampsOf(p.Payload)
			if pcr >= 0 && (dts-pcr)&ticks33 > 1<<32 {
				t.Fatalf("packet %d: PCR %d is above DTS %d", n, pcr, dts)
			}
			list := &s.video
			if h.PID == pidAudio {
				list = &s.audio
			}
			if k := len(*list); k > 0 && (dts-(*list)[k-1])&ticks33 > 1<<32 {
				t.Fatalf("packet %d, PID %#x: DTS %d after %d", n, h.PID, dts, (*list)[k-1])
			}
			*list = append(*list, dts)
			if af != nil && af.RandomAccessIndicator {
				s.keys = append(s.keys, pts)
			}
		}
	}
	s.tables(t, b)
	return s
}

func (s *seenTS) tables(t *testing.T, b []byte) {
	t.Helper()
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(b), astits.DemuxerOptPacketSize(188))
	for {
		data, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if data.PMT != nil {
			s.pmts++
			s.types = nil
			for _, e := range data.PMT.ElementaryStreams {
				s.types = append(s.types, e.StreamType)
			}
		}
	}
}

// stampsOf reads PTS and DTS off a PES header.
func stampsOf(b []byte) (pts, dts int64) {
	read := func(b []byte) int64 {
		return int64(b[0]>>1&7)<<30 | int64(b[1])<<22 | int64(b[2]>>1)<<15 | int64(b[3])<<7 | int64(b[4]>>1)
	}
	pts = read(b[9:])
	if dts = pts; b[7]&0x40 != 0 {
		dts = read(b[14:])
	}
	return pts, dts
}

// ticksAt is a stream time as it is on the wire.
func ticksAt(ms media.Timestamp) int64 { return (int64(ms) + 1400) * 90 & ticks33 }

func TestTSHasEveryFrameOnTheStreamsTimeline(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).realHeaders()
	p.dts = 5000
	p.realGroup()
	r := newRig(t, hub)
	v := r.attach(TS)
	r.run(200 * time.Millisecond)
	for range 75 {
		p.realFrame(p.dts%1000 == 0)
		r.run(40 * time.Millisecond)
	}
	p.w.End()
	r.run(200 * time.Millisecond)
	if !errors.Is(v.left, ErrEnded) {
		t.Fatalf("left with %v", v.left)
	}
	s := judgeTS(t, v.conn.got)
	if !slices.Equal(s.firstPIDs, []uint16{0, 0x1000, pidVideo}) {
		t.Errorf("begins with PIDs %#x", s.firstPIDs)
	}
	if len(s.video) != 100 || s.video[0] != ticksAt(5000) || s.video[99] != ticksAt(5000+99*40) || len(s.keys) != 4 {
		t.Errorf("%d pictures, the first at %d, %d keyframes", len(s.video), s.video[0], len(s.keys))
	}
	if s.audio[0] != ticksAt(5000) || s.breaks != 0 {
		t.Errorf("sound from %d, %d breaks", s.audio[0], s.breaks)
	}
	if !slices.Equal(s.types, []astits.StreamType{astits.StreamTypeH264Video, astits.StreamTypeAACAudio}) || s.pmts < 4 {
		t.Errorf("%d PMTs, the last with %v", s.pmts, s.types)
	}
}

// TestTSOfOneTrack: the PMT lists just the tracks that exist, whatever was announced.
func TestTSOfOneTrack(t *testing.T) {
	for _, c := range []struct {
		name  string
		push  func(p *publisher)
		types []astits.StreamType
	}{
		{"video-only-though-audio-is-announced", func(p *publisher) {
			for i := range 50 {
				p.push(media.TypeVideo, kindOf(i), realPicture(i%25 == 0))
				p.dts += 40
			}
		}, []astits.StreamType{astits.StreamTypeH264Video}},
		{"hevc-is-left-out", func(p *publisher) {
			p.push(media.TypeVideo, media.KindConfig, []byte{0x1C, 0, 0, 0, 0, 1, 2, 3})
			for i := range 50 {
				p.push(media.TypeVideo, kindOf(i), append([]byte{0x1C | byte(1+min(i%25, 1))<<4, 1, 0, 0, 0}, make([]byte, 90)...))
				p.push(media.TypeAudio, media.KindAudio, append([]byte{0xAF, 1}, make([]byte, 90)...))
				p.dts += 40
			}
		}, []astits.StreamType{astits.StreamTypeAACAudio}},
	} {
		t.Run(c.name, func(t *testing.T) {
			hub := relay.NewHub()
			p := publish(t, hub).realHeaders()
			c.push(p)
			r := newRig(t, hub)
			v := r.attach(TS)
			p.w.End()
			r.run(300 * time.Millisecond)
			if s := judgeTS(t, v.conn.got); !slices.Equal(s.types, c.types) || !errors.Is(v.left, ErrEnded) {
				t.Errorf("%v, left with %v", s.types, v.left)
			}
		})
	}
}

func kindOf(i int) media.Kind {
	if i%25 == 0 {
		return media.KindKey
	}
	return media.KindDelta
}

func realPicture(key bool) []byte {
	if key {
		return append([]byte{0x17, 1, 0, 0, 0, 0, 0, 0, 100, 0x65}, make([]byte, 99)...)
	}
	return append([]byte{0x27, 1, 0, 0, 0, 0, 0, 0, 100, 0x41}, make([]byte, 99)...)
}

// TestTSFollowsTheTracks: one that begins late and one that ends are in the PMT
// when they are there.
func TestTSFollowsTheTracks(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub)
	p.push(media.TypeVideo, media.KindConfig, unhex(t, realVideo))
	r := newRig(t, hub)
	v := r.attach(TS)
	silent := func(n int) {
		for i := range n {
			p.push(media.TypeVideo, kindOf(i), realPicture(i%25 == 0))
			p.dts += 40
			r.run(40 * time.Millisecond)
		}
	}
	silent(50)
	p.push(media.TypeAudio, media.KindConfig, unhex(t, realAudio))
	for i := range 50 {
		p.realFrame(i%25 == 0)
		r.run(40 * time.Millisecond)
	}
	both := judgeTS(t, whole(v.conn.got))
	silent(100)
	p.w.End()
	r.run(200 * time.Millisecond)
	s := judgeTS(t, v.conn.got)
	if len(both.types) != 2 || len(both.audio) == 0 || len(s.types) != 1 || len(s.video) != 200 {
		t.Errorf("%v, then %v; %d pictures", both.types, s.types, len(s.video))
	}
}

func whole(b []byte) []byte { return b[:len(b)/188*188] }

func TestTSThatNothingCanBeCarriedInIsRefused(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub)
	r := newRig(t, hub)
	early := r.attach(TS)
	p.push(media.TypeVideo, media.KindConfig, []byte{0x1C, 0, 0, 0, 0, 1, 2, 3})
	p.push(media.TypeVideo, media.KindKey, append([]byte{0x1C, 1, 0, 0, 0}, make([]byte, 90)...))
	r.run(200 * time.Millisecond)
	late := &fakeSink{conn: fakeConn{room: -1}}
	r.attachSink(late, TS)
	flv := r.attach(FLV)
	r.run(200 * time.Millisecond)
	for _, v := range []*fakeSink{early, late} {
		if !errors.Is(v.left, ErrNotCarried) || v.joined != 0 || v.leaves != 1 {
			t.Errorf("left %d times with %v, joined %d times", v.leaves, v.left, v.joined)
		}
	}
	if flv.left != nil || flv.joined != 1 {
		t.Errorf("FLV left with %v", flv.left)
	}
}

// TestTSEndsWithItsLastTrack: who plays a stream of which nothing is left is told.
func TestTSEndsWithItsLastTrack(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub)
	p.push(media.TypeVideo, media.KindConfig, unhex(t, realVideo))
	p.push(media.TypeVideo, media.KindKey, realPicture(true))
	r := newRig(t, hub)
	a, b := r.attach(TS), r.attach(TS)
	r.run(200 * time.Millisecond)
	p.dts += 1000
	p.push(media.TypeVideo, media.KindConfig, []byte{0x1C, 0, 0, 0, 0, 1, 2, 3})
	p.push(media.TypeVideo, media.KindKey, append([]byte{0x1C, 1, 0, 0, 0}, make([]byte, 90)...))
	r.run(200 * time.Millisecond)
	for _, v := range []*fakeSink{a, b} {
		if s := judgeTS(t, v.conn.got); len(s.video) != 1 || !errors.Is(v.left, ErrNotCarried) {
			t.Errorf("%d pictures, left with %v", len(s.video), v.left)
		}
	}
}

// TestTSSkipsWithABreak: a viewer that was late goes on at a keyframe, with one
// clock and a break that each PID announces. The 33 bits wrap meanwhile.
func TestTSSkipsWithABreak(t *testing.T) {
	for _, start := range []media.Timestamp{0, (1<<33)/90 - 1400 - 4000} {
		hub := relay.NewHub()
		p := publish(t, hub).realHeaders()
		p.dts = start
		p.realGroup()
		r := newRig(t, hub)
		v := &fakeSink{conn: fakeConn{room: -1}}
		opt := options(TS)
		opt.Latency = time.Second
		if err := r.e.Attach(&v.v, &v.conn, v, opt, r.now); err != nil {
			t.Fatal(err)
		}
		r.run(200 * time.Millisecond)
		v.conn.room = 1000 // ends inside a message
		for range 100 {
			p.realFrame(p.dts%1000 == start%1000)
			r.run(40 * time.Millisecond)
		}
		if v.left != nil {
			t.Fatalf("left with %v", v.left)
		}
		v.conn.room = -1
		v.v.OnWritable()
		r.run(100 * time.Millisecond)
		for range 50 {
			p.realFrame(p.dts%1000 == start%1000)
			r.run(40 * time.Millisecond)
		}
		p.w.End()
		r.run(200 * time.Millisecond)
		s := judgeTS(t, v.conn.got)
		if v.v.Shift() < 2*time.Second || s.breaks != 4 || r.e.Stats().Skips() != 1 {
			t.Errorf("shift %v, %d breaks, %d skips", v.v.Shift(), s.breaks, r.e.Stats().Skips())
		}
		for i := 1; i < len(s.video); i++ {
			if step := (s.video[i] - s.video[i-1]) & ticks33; step > 99*90 {
				t.Errorf("picture %d comes %d ticks after the one before", i, step)
			}
		}
		for i := 1; i < len(s.audio); i++ {
			if step := (s.audio[i] - s.audio[i-1]) & ticks33; step < 30*90 || step > 200*90 {
				t.Errorf("sound %d comes %d ticks after the one before", i, step)
			}
		}
	}
}

// TestShiftedTSIsTheSameInPieces: a piece that ends inside a packet is as the
// whole is there.
func TestShiftedTSIsTheSameInPieces(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).realHeaders()
	p.realGroup()
	r := newRig(t, hub)
	v := r.attach(TS)
	r.run(200 * time.Millisecond)
	view := v.v.bucket.channel.view
	b, _ := view.log.Bytes(0)
	var s shifted
	wholePiece := bytes.Clone(s.piece(view, 0, b, 777))
	if bytes.Equal(wholePiece, b[:len(wholePiece)]) {
		t.Fatal("nothing was shifted")
	}
	for at := 0; at < len(wholePiece); at += 101 {
		end := min(at+101, len(wholePiece))
		if got := s.piece(view, int64(at), b[at:end], 777); !bytes.Equal(got, wholePiece[at:end]) {
			t.Fatalf("bytes %d to %d differ", at, end)
		}
	}
	judgeTS(t, wholePiece[:len(wholePiece)/188*188])
}

// FuzzShiftPackets: whatever lies in a packet, only whole packets are touched.
func FuzzShiftPackets(f *testing.F) {
	f.Add(bytes.Repeat([]byte{0x47, 0x41, 0, 0x30, 183}, 40), uint32(5))
	f.Add(append([]byte{0x47, 0x41, 0, 0x30, 7, 0x10, 1, 2, 3, 4, 5, 6, 0, 0, 1, 0xE0, 0, 0, 0x84, 0xC0, 10}, make([]byte, 200)...), uint32(1<<31))
	f.Fuzz(func(t *testing.T, raw []byte, shift uint32) {
		out := bytes.Clone(raw)
		shiftPackets(&window{out: out, shift: shift}, raw)
		if len(out) != len(raw) || !bytes.Equal(out[len(raw)/188*188:], raw[len(raw)/188*188:]) {
			t.Error("bytes behind the last packet were touched")
		}
	})
}
