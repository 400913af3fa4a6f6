package pipeline

import (
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/hls"
)

// publisher plays a stream that nobody planned.
type publisher struct {
	*rig
	*rand.Rand
	sent  int
	clock float64 // ms, of the next picture
	heard float64 // of the next sound
	audio bool
	video bool
	step  float64 // ms
	gop   int
	since int // pictures since the keyframe
}

// odds is true once in n times.
func (p *publisher) odds(n int) bool { return p.IntN(n) == 0 }

func (p *publisher) frame(typ media.Type, dts float64, body []byte) {
	p.sent++
	p.must(p.write(typ, media.Timestamp(dts), body))
}

// turn sends a picture and the sound up to it, and, unless it is steady, does
// something odd now and then.
func (p *publisher) turn(steady bool) {
	if p.video {
		p.since++
		if p.since >= p.gop {
			p.since = 0
		}
		p.frame(media.TypeVideo, p.clock, picture(p.since == 0, int32(p.IntN(3)*40), 20+p.IntN(200)))
	}
	p.clock += p.step
	for ; p.audio && p.heard < p.clock; p.heard += 23.22 {
		p.frame(media.TypeAudio, p.heard, append([]byte{0xAF, 1}, make([]byte, 20)...))
	}
	if !steady {
		p.oddity()
	}
}

func (p *publisher) oddity() {
	switch p.IntN(400) {
	case 0: // a gap
		p.clock += float64(p.IntN(8000))
		p.heard = p.clock
	case 1:
		p.videoHeader([][]byte{avc240, avc360}[p.IntN(2)])
		p.since = p.gop
	case 2:
		p.audioHeader([][]byte{aac44, aac48}[p.IntN(2)])
	case 3:
		p.audio = !p.audio && p.video || !p.video
		p.heard = p.clock
	case 4:
		p.behind += time.Duration(p.IntN(20_000)-5000) * time.Millisecond
		p.startRun(testWall.Add(p.behind + time.Duration(p.clock)*time.Millisecond))
		p.videoHeader(avc240)
		p.since = p.gop
	case 5:
		p.gop = 1 + p.IntN(300)
	case 6:
		p.step = 5 + 400*p.Float64()*p.Float64()
	case 7: // jitter: this picture comes late
		p.clock += p.step * p.Float64() / 2
	case 8: // the tracks drift apart
		p.heard += float64(p.IntN(600))
	case 9:
		p.frame(media.TypeVideo, p.clock, []byte{0x17, 1, 0})
	}
}

// newPublisher has a frame rate, a length of groups and tracks of its own.
func newPublisher(t *testing.T, seed uint64, mode func(*Config)) *publisher {
	t.Helper()
	p := &publisher{Rand: rand.New(rand.NewPCG(seed, 1))}
	segment := time.Duration(1+p.IntN(4)) * time.Second
	p.rig = newRig(t, mode, func(c *Config) { c.Segment, c.Window = segment, 3+int(seed%5) })
	p.step = []float64{1000. / 60, 1001. / 60, 20, 1000. / 30, 1001. / 30, 40, 1000. / 24, 1000. / 15, 100}[p.IntN(9)]
	p.gop = 1 + p.IntN(int(4000/p.step))
	p.video, p.audio = !p.odds(8), !p.odds(4)
	p.audio = p.audio || !p.video
	p.since = p.gop
	if p.video {
		p.videoHeader(avc240)
	}
	if p.audio {
		p.audioHeader(aac44)
	}
	return p
}

// Requirement: S12 (whatever a publisher does, what is published holds, see
// check, and every frame that was not dropped is in a segment, once).
func TestRandomStreams(t *testing.T) {
	eachMode(t, func(t *testing.T, mode func(*Config)) {
		t.Helper()
		for seed := range uint64(60) {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				p := newPublisher(t, seed, mode)
				for range 1500 {
					p.turn(seed%3 == 0)
				}
				p.p.End()
				p.wantSamples(p.sent - int(p.p.Dropped()))
				if seed%3 == 0 {
					p.wantWholeParts()
				}
			})
		}
	})
}

// wantSamples counts the samples of all fragments, whose times must not overlap.
func (p *publisher) wantSamples(want int) {
	p.t.Helper()
	got, ends, init := 0, map[uint32]uint64{}, uint32(0)
	for _, s := range p.all {
		if s.MP4 == nil {
			return
		}
		if s.Init != init {
			init = s.Init
			clear(ends) // another timescale, maybe
		}
		for _, c := range s.MP4.Chunks {
			for _, tr := range fragments(p.t, c) {
				if tr.start < ends[tr.id] {
					p.t.Fatalf("segment %d: track %d goes back from %d to %d", s.MSN, tr.id, ends[tr.id], tr.start)
				}
				got += tr.samples
				ends[tr.id] = tr.end
			}
		}
	}
	if got != want {
		p.t.Errorf("%d samples, want %d", got, want)
	}
}

// wantWholeParts: where frames come evenly the parts last as long as the segment,
// but for the rounding of their times, and for the sound behind the last picture.
func (p *publisher) wantWholeParts() {
	p.t.Helper()
	for _, s := range p.all[:len(p.all)-1] {
		var sum time.Duration
		for _, part := range s.Parts {
			sum += part.Duration
		}
		if d := s.Duration - sum; len(s.Parts) > 0 && d > time.Duration(len(s.Parts))*time.Millisecond {
			p.t.Errorf("segment %d of %v has parts of %v in all", s.MSN, s.Duration, sum)
		}
	}
}

// trackRun is what a traf box tells of a track.
type trackRun struct {
	id         uint32
	samples    int
	start, end uint64 // in ticks
}

// fragments reads the traf boxes of a chunk.
func fragments(t *testing.T, b []byte) (runs []trackRun) {
	t.Helper()
	walk(t, b, func(typ string, body []byte) {
		switch typ {
		case "tfhd":
			runs = append(runs, trackRun{id: binary.BigEndian.Uint32(body[4:])})
		case "tfdt":
			r := &runs[len(runs)-1]
			r.start = binary.BigEndian.Uint64(body[4:])
			r.end = r.start
		case "trun":
			r := &runs[len(runs)-1]
			r.samples = int(binary.BigEndian.Uint32(body[4:]))
			size := (len(body) - 12) / max(r.samples, 1)
			for i := range r.samples {
				r.end += uint64(binary.BigEndian.Uint32(body[12+i*size:]))
			}
		}
	})
	return runs
}

// walk visits boxes, and those within moof and traf.
func walk(t *testing.T, b []byte, visit func(typ string, body []byte)) {
	t.Helper()
	for len(b) > 0 {
		if len(b) < 8 || int(binary.BigEndian.Uint32(b)) > len(b) || binary.BigEndian.Uint32(b) < 8 {
			t.Fatalf("no box: % x", b[:min(len(b), 16)])
		}
		size := binary.BigEndian.Uint32(b)
		typ, body := string(b[4:8]), b[8:size]
		visit(typ, body)
		if typ == "moof" || typ == "traf" {
			walk(t, body, visit)
		}
		b = b[size:]
	}
}

// Memory: an open segment holds its media once in each format, and the open part.
func TestOpenSegmentIsHeldOnce(t *testing.T) {
	r := newRig(t, lowLatency)
	r.videoHeader(avc240)
	for i := range media.Timestamp(150) { // three segments of 2 s
		r.must(r.write(media.TypeVideo, 40*i, picture(i%50 == 0, 0, 20_000)))
	}
	s := r.p.open
	capacity := 0
	for _, c := range append(append([][]byte(nil), s.ts.chunks...), s.mp4.chunks...) {
		capacity += cap(c)
	}
	if most := 2 * (s.ts.size + s.mp4.size) * 11 / 16; capacity > most {
		t.Errorf("%d bytes are held of %d and %d", capacity, s.ts.size, s.mp4.size)
	}
	if got := r.p.mux.gathered(); got > 6*21_000 {
		t.Errorf("the open part holds %d bytes", got)
	}
	if len(r.p.splice) > 0 {
		t.Errorf("%d frames are held beside", len(r.p.splice))
	}
}

// Both formats count for the budget of a stream.
func TestLookBackCountsBothFormats(t *testing.T) {
	l := newList(DefaultConfig(1, 1), func(x *hls.Index) {
		sum := 0
		for _, s := range x.Segments[:len(x.Segments)-x.Listed] {
			sum += s.TS.Size + s.MP4.Size
		}
		if sum > 0 && len(x.Segments)*60<<20 > media.MaxHLSStreamBytes {
			t.Fatalf("look-back of %d bytes is kept", sum)
		}
	})
	for i := range uint64(20) {
		half := &hls.Media{Size: 30 << 20}
		l.add(&hls.Segment{Epoch: 1, MSN: i, Duration: 2 * time.Second, TS: half, MP4: half}, 50)
	}
}
