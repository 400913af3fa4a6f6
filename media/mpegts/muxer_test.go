package mpegts_test

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"slices"
	"testing"

	"tmms/media"
	"tmms/media/aac"
	"tmms/media/mpegts"
)

// Requirement: S12, S13, S16: H.264 with B-frames and AAC, cut at each IDR: what
// ffprobe, dvbinfo and go-astits find is what was pushed.
func TestSegments(t *testing.T) {
	src := encode(t, argsAV)
	segments := mux(t, src)
	if len(segments) != 5 {
		t.Fatalf("%d segments, want 5", len(segments))
	}
	file := save(t, segments...)
	if faults := continuity(t, file); len(faults) > 0 {
		t.Fatalf("dvbinfo: %q", faults)
	}
	all := judge(t, bytes.Join(segments, nil))
	if got, want := all.streamTypes(), []byte{0x1B, 0x0F}; !bytes.Equal(got, want) {
		t.Errorf("stream types % x, want % x", got, want)
	}
	if all.pcrPID[pidVideo] != len(all.pcrs) {
		t.Errorf("%d of %d PCRs are on the video PID", all.pcrPID[pidVideo], len(all.pcrs))
	}
	t.Run("b-frames", func(t *testing.T) { sameVideo(t, src, all) })
	t.Run("ffprobe", func(t *testing.T) {
		p := probe(t, file)
		sameAsProbed(t, src, p)
		if p.Streams[1].Rate != "44100" {
			t.Errorf("ffprobe says %+v, want 44100 Hz", p.Streams)
		}
	})
	t.Run("each-alone", func(t *testing.T) {
		for _, seg := range segments {
			startsClean(t, seg)
			p := probe(t, save(t, seg))
			if got, want := p.codecs(), []string{"aac audio", "h264 video"}; !slices.Equal(got, want) {
				t.Errorf("a segment alone shows %v, want %v", got, want)
			}
			if p.count("video") != 25 {
				t.Errorf("a segment alone has %d frames that decode, want 25", p.count("video"))
			}
		}
	})
}

// sameVideo compares go-astits' PES packets with the source, one by one.
func sameVideo(t *testing.T, src source, got seen) {
	t.Helper()
	frames := src.only(media.TypeVideo).frames
	units := got.units[pidVideo]
	if len(units) != len(frames) {
		t.Fatalf("%d video PES packets, want %d", len(units), len(frames))
	}
	moved := false
	var keys []int64
	for i, f := range frames {
		if u := units[i]; u.pts != wire(f.pts) || u.dts != wire(f.dts) {
			t.Fatalf("frame %d: PTS %d DTS %d, want %d %d", i, u.pts, u.dts, wire(f.pts), wire(f.dts))
		}
		if !bytes.HasPrefix(units[i].data, []byte("\x00\x00\x00\x01\x09\xf0")) {
			t.Fatalf("frame %d starts with % x, not an access unit delimiter", i, units[i].data[:8])
		}
		if f.key {
			keys = append(keys, wire(f.pts))
		}
		moved = moved || f.pts != f.dts
	}
	if !moved {
		t.Fatal("the source has no B-frames: this test shows nothing")
	}
	if !slices.Equal(got.random, keys) {
		t.Errorf("random_access_indicator at %v, want %v", got.random, keys)
	}
}

// sameAsProbed compares ffprobe's view with the source. A frame inside an audio
// PES packet has no timestamp of its own: 1 ms of FLV is the tolerance.
func sameAsProbed(t *testing.T, src source, p probed) {
	t.Helper()
	want := map[string][]int64{}
	for _, f := range src.frames {
		want[f.typ.String()] = append(want[f.typ.String()], wire(f.pts))
	}
	got := map[string][]int64{}
	for _, pkt := range p.Packets {
		got[pkt.Type] = append(got[pkt.Type], pkt.PTS)
	}
	for typ, w := range want {
		g := got[typ]
		if len(g) != len(w) || p.count(typ) != len(w) {
			t.Fatalf("%s: %d packets, %d frames decode, want %d", typ, len(g), p.count(typ), len(w))
		}
		for i := range w {
			if d := g[i] - w[i]; d > mpegts.TicksPerMS || d < -mpegts.TicksPerMS {
				t.Fatalf("%s packet %d: PTS %d, want %d", typ, i, g[i], w[i])
			}
		}
	}
	for _, s := range p.Streams {
		if s.Type == "video" && (s.Width != 320 || s.Height != 180) {
			t.Errorf("picture %d x %d, want 320 x 180", s.Width, s.Height)
		}
	}
}

// startsClean wants PAT, PMT, and then at once an access unit with AUD, SPS,
// PPS, IDR behind a PCR.
func startsClean(t *testing.T, seg []byte) {
	t.Helper()
	for i, want := range []uint16{0, pidPMT, pidVideo} {
		if got := uint16(seg[i*188+1]&0x1F)<<8 | uint16(seg[i*188+2]); got != want {
			t.Fatalf("packet %d has PID %#x, want %#x", i, got, want)
		}
	}
	third := seg[2*188:]
	if third[1]&0x40 == 0 || third[3]&0x20 == 0 || third[5]&0x50 != 0x50 {
		t.Errorf("first access unit: flags %#x %#x %#x lack unit start, random access or PCR", third[1], third[3], third[5])
	}
	s := judge(t, seg)
	if got, want := nalTypes(s.units[pidVideo][0].data)[:3], []byte{9, 7, 8}; !bytes.Equal(got, want) {
		t.Errorf("NAL units % x, want % x", got, want)
	}
	if types := nalTypes(s.units[pidVideo][0].data); !bytes.Contains(types, []byte{5}) {
		t.Errorf("NAL units % x without an IDR", types)
	}
}

// nalTypes lists the NAL unit types of an Annex B access unit.
func nalTypes(b []byte) []byte {
	var types []byte
	for i := 0; i+3 < len(b); i++ {
		if b[i] == 0 && b[i+1] == 0 && b[i+2] == 1 {
			types = append(types, b[i+3]&0x1F)
		}
	}
	return types
}

// Requirement: S17: MP3 passes unchanged as stream type 0x03, or 0x04 at MPEG-2 rates.
func TestMP3(t *testing.T) {
	for _, c := range []struct {
		name, args string
		types      []byte
		codecs     []string
	}{
		{"video+mpeg1", argsMP3, []byte{0x1B, 0x03}, []string{"h264 video", "mp3 audio"}},
		{"mpeg2", argsMP3Low, []byte{0x04}, []string{"mp3 audio"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := encode(t, c.args)
			file := save(t, mux(t, src)...)
			ts, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := judge(t, ts)
			if got := s.streamTypes(); !bytes.Equal(got, c.types) {
				t.Errorf("stream types % x, want % x", got, c.types)
			}
			var want, got []byte
			for _, f := range src.only(media.TypeAudio).frames {
				want = append(want, f.payload...)
			}
			for _, u := range s.units[pidAudio] {
				got = append(got, u.data...)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes of MP3 are not the %d that were pushed", len(got), len(want))
			}
			if p := probe(t, file); !slices.Equal(p.codecs(), c.codecs) {
				t.Errorf("ffprobe shows %v, want %v", p.codecs(), c.codecs)
			}
			if faults := continuity(t, file); len(faults) > 0 {
				t.Errorf("dvbinfo: %q", faults)
			}
		})
	}
	t.Run("rate-change", func(t *testing.T) {
		m, err := mpegts.NewMuxer(mpegts.Config{Audio: mpegts.Track{Codec: media.CodecMP3}})
		if err != nil {
			t.Fatal(err)
		}
		ts := m.WriteTables(nil)
		for i, header := range []string{"\xff\xfb\x90\x00", "\xff\xfb\x90\x00", "\xff\xf3\x90\x00", "\xff\xf3\x90\x00"} {
			ts = write(t, m, ts, frame{typ: media.TypeAudio, pts: int64(26 * i), payload: append([]byte(header), make([]byte, 413)...)})
		}
		s := judge(t, m.Flush(ts))
		if got := s.streamTypes(); !bytes.Equal(got, []byte{0x04}) || len(s.pmts) != 2 {
			t.Errorf("after the change: stream types % x in %d PMTs, want 04 in 2", got, len(s.pmts))
		}
	})
}

// Cases audio-only, video-only, late-audio, low-fps: PMT lists just the tracks
// that exist, PCR goes on at 40 ms whatever comes.
func TestSparse(t *testing.T) {
	av := encode(t, argsAV)
	low := encode(t, argsLowFPS)
	late := source{cfg: av.cfg}
	for _, f := range av.frames {
		if f.typ == media.TypeVideo || f.dts > 3000 {
			late.frames = append(late.frames, f)
		}
	}
	slideshow := source{cfg: av.cfg} // one picture, then sound only
	for i, f := range av.frames {
		if f.typ == media.TypeAudio || i < 4 {
			slideshow.frames = append(slideshow.frames, f)
		}
	}
	minute := source{cfg: low.cfg}
	for i, f := range low.only(media.TypeVideo).frames {
		if f.key {
			f.pts, f.dts = int64(i)*6000, int64(i)*6000 // a keyframe a minute
			minute.frames = append(minute.frames, f)
		}
	}
	for _, c := range []struct {
		name   string
		src    source
		types  []byte
		pcr    uint16
		sparse bool // the clock goes on without video
	}{
		{"audio-only", av.only(media.TypeAudio), []byte{0x0F}, pidAudio, false},
		{"video-only", av.only(media.TypeVideo), []byte{0x1B}, pidVideo, false},
		{"late-audio", late, []byte{0x1B, 0x0F}, pidVideo, false},
		{"low-fps", low, []byte{0x1B}, pidVideo, false},
		{"low-fps-1-a-minute", minute, []byte{0x1B}, pidVideo, false},
		{"slideshow", slideshow, []byte{0x1B, 0x0F}, pidVideo, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			segments := mux(t, c.src)
			s := judge(t, bytes.Join(segments, nil))
			if got := s.streamTypes(); !bytes.Equal(got, c.types) {
				t.Errorf("stream types % x, want % x", got, c.types)
			}
			if s.pcrPID[c.pcr] != len(s.pcrs) || s.pmts[0].PCRPID != c.pcr {
				t.Errorf("PCRs on %v, PMT says %#x, want %#x", s.pcrPID, s.pmts[0].PCRPID, c.pcr)
			}
			// dvbinfo takes packets without payload for repeated ones.
			if faults := continuity(t, save(t, segments...)); len(faults) != s.uncounted || s.uncounted > 0 != c.sparse {
				t.Errorf("%d packets without payload; dvbinfo: %d faults: %.300q", s.uncounted, len(faults), faults)
			}
			for _, seg := range segments {
				if c.pcr == pidVideo {
					startsClean(t, seg)
				}
			}
		})
	}
}

// A judge that cannot condemn proves nothing.
func TestJudgesCanFail(t *testing.T) {
	ts := bytes.Join(mux(t, encode(t, argsMP3)), nil)
	if faults := continuity(t, save(t, slices.Delete(bytes.Clone(ts), 50*188, 51*188))); len(faults) != 1 {
		t.Errorf("dvbinfo found %q where one packet is missing", faults)
	}
	if faults := experts(t, save(t, slices.Delete(bytes.Clone(ts), 50*188, 51*188))); len(faults) == 0 {
		t.Error("tshark found nothing where one packet is missing")
	}
}

// Case ts-wrap: 33 bits wrap, in PTS, DTS and PCR.
func TestWrap(t *testing.T) {
	src := encode(t, argsAV)
	base := (int64(1)<<33 - mpegts.TimeOffset) / mpegts.TicksPerMS // where the wire is at 2^33
	for i := range src.frames {
		src.frames[i].pts += base - 2500
		src.frames[i].dts += base - 2500
	}
	ts := bytes.Join(mux(t, src), nil)
	s := judge(t, ts)
	sameVideo(t, src, s)
	if first, last := s.pcrs[0], s.pcrs[len(s.pcrs)-1]; first < 1<<32 || last > 1<<32 {
		t.Errorf("PCR runs from %d to %d: it did not wrap", first, last)
	}
	if faults := continuity(t, save(t, ts)); len(faults) > 0 {
		t.Errorf("dvbinfo: %q", faults)
	}
}

// Case huge-idr: a PES packet without a length, whole at the other end.
func TestHugeIDR(t *testing.T) {
	src := encode(t, argsMP3).only(media.TypeVideo)
	huge := make([]byte, 1<<20)
	for i := range huge {
		huge[i] = byte(i*7 + 1)
	}
	huge[0] = 0x06 // SEI
	src.frames[0].payload = append([]byte{0, 0x10, 0, 0}, append(huge, src.frames[0].payload...)...)
	s := judge(t, bytes.Join(mux(t, src), nil))
	if got := s.units[pidVideo][0].data; !bytes.Contains(got, huge) {
		t.Errorf("a picture of 1 MiB came out as %d bytes", len(got))
	}
	if len(s.units[pidVideo]) != len(src.frames) {
		t.Errorf("%d pictures, want %d", len(s.units[pidVideo]), len(src.frames))
	}
}

// Stuffing: units of every length around a packet's come out as they went in.
func TestStuffing(t *testing.T) {
	m, err := mpegts.NewMuxer(mpegts.Config{Audio: mpegts.Track{Codec: media.CodecMP3}})
	if err != nil {
		t.Fatal(err)
	}
	ts := m.WriteTables(nil)
	var want [][]byte
	for n := 4; n < 600; n++ {
		p := bytes.Repeat([]byte{byte(n)}, n)
		copy(p, "\xff\xfb\x90\x00")
		want = append(want, p)
		ts = m.Flush(write(t, m, ts, frame{typ: media.TypeAudio, pts: int64(n) * 26, payload: p}))
	}
	s := judge(t, ts)
	for i, u := range s.units[pidAudio] {
		if !bytes.Equal(u.data, want[i]) {
			t.Fatalf("unit of %d bytes came out as %d", len(want[i]), len(u.data))
		}
	}
	if len(s.units[pidAudio]) != len(want) {
		t.Errorf("%d units, want %d", len(s.units[pidAudio]), len(want))
	}
}

// Audio PES packets are bounded in time, and end where a gap is.
func TestGather(t *testing.T) {
	src := encode(t, argsAV).only(media.TypeAudio)
	src.frames = slices.Delete(src.frames, 10, 14) // a hole of 93 ms
	s := judge(t, bytes.Join(mux(t, src), nil))
	stamped := map[int64]bool{}
	frames := 0
	for _, u := range s.units[pidAudio] {
		n := bytes.Count(u.data, []byte{0xFF, 0xF1, 0x50})
		if n > 3 {
			t.Errorf("PES packet at %d holds %d frames, which is more than 70 ms", u.pts, n)
		}
		stamped[u.pts] = true
		frames += n
	}
	if frames != len(src.frames) {
		t.Errorf("%d frames, want %d", frames, len(src.frames))
	}
	if !stamped[wire(src.frames[10].pts)] {
		t.Error("the frame behind the gap has no timestamp of its own")
	}
}

// A gap is filled with clock references up to a bound; beyond, the clock jumps
// and says so.
func TestGap(t *testing.T) {
	for _, c := range []struct {
		name        string
		seconds     int64
		jumps, most int // packets
	}{
		{"1s", 1, 0, 100},
		{"60s", 60, 0, 2000},
		{"1h", 3600, 1, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := encode(t, argsMP3)
			plain := len(bytes.Join(mux(t, src), nil)) / 188
			for i := range src.frames {
				if i >= len(src.frames)/2 {
					src.frames[i] = src.frames[i].shifted(c.seconds * 1000)
				}
			}
			ts := bytes.Join(mux(t, src), nil)
			s := judge(t, ts)
			if more := len(ts)/188 - plain; s.jumps != c.jumps || more > c.most {
				t.Errorf("%d jumps and %d more packets, want %d and at most %d", s.jumps, more, c.jumps, c.most)
			}
		})
	}
}

// Audio that comes up to 400 ms later than the video of its time does not fall
// behind the clock; nor does audio that comes earlier drive it past the video.
func TestInterleaving(t *testing.T) {
	for _, shift := range []int64{-400, -100, 100, 400} {
		src := encode(t, argsAV)
		at := func(f frame) int64 {
			if f.typ == media.TypeAudio {
				return f.dts - shift
			}
			return f.dts
		}
		slices.SortStableFunc(src.frames, func(a, b frame) int { return cmp.Compare(at(a), at(b)) })
		file := save(t, mux(t, src)...)
		ts, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		judge(t, ts)
		if faults := continuity(t, file); len(faults) > 0 {
			t.Errorf("audio %d ms early: dvbinfo: %.300q", shift, faults)
		}
	}
}

// Case negative-cts: pictures do not move, decoding comes earlier.
func TestNegativeCTS(t *testing.T) {
	src := encode(t, argsAV).only(media.TypeVideo)
	for i := range src.frames {
		src.frames[i].dts += 80 // two frames: now PTS < DTS for some
	}
	s := judge(t, bytes.Join(mux(t, src), nil))
	for i, u := range s.units[pidVideo] {
		if u.pts < u.dts {
			t.Fatalf("frame %d: PTS %d below DTS %d", i, u.pts, u.dts)
		}
		if d := u.pts - wire(src.frames[i].pts); i > 4 && d != 0 {
			t.Fatalf("frame %d moved by %d ticks", i, d)
		}
	}
}

// Equal and falling times come out growing by single ticks.
func TestStrictlyGrows(t *testing.T) {
	src := encode(t, argsAV)
	for i := range src.frames { // a clock of 200 ms steps
		src.frames[i].dts -= src.frames[i].dts % 200
		src.frames[i].pts = max(src.frames[i].pts, src.frames[i].dts)
	}
	judge(t, bytes.Join(mux(t, src), nil)) // which checks growth
}

// Case codec-change, and a re-push: counters and clock go on, the PMT's version
// rises only if the PMT changed.
func TestReconfigure(t *testing.T) {
	av, mp3 := encode(t, argsAV), encode(t, argsMP3)
	for i := range mp3.frames {
		mp3.frames[i].pts += 5040
		mp3.frames[i].dts += 5040
	}
	m, err := mpegts.NewMuxer(av.cfg)
	if err != nil {
		t.Fatal(err)
	}
	ts := bytes.Join(muxInto(t, m, av), nil)
	version := m.Counters().Version
	if err := m.Reconfigure(av.cfg); err != nil || m.Counters().Version != version {
		t.Errorf("the same tracks again: version %d, error %v, want %d", m.Counters().Version, err, version)
	}
	if err := m.Reconfigure(mp3.cfg); err != nil || m.Counters().Version != version+1 {
		t.Errorf("other tracks: version %d, error %v, want %d", m.Counters().Version, err, version+1)
	}
	ts = append(ts, bytes.Join(muxInto(t, m, mp3), nil)...)
	s := judge(t, ts)
	if got := s.streamTypes(); !bytes.Equal(got, []byte{0x1B, 0x03}) {
		t.Errorf("stream types % x at the end, want 1b 03", got)
	}
	if want := len(av.only(media.TypeVideo).frames) + len(mp3.only(media.TypeVideo).frames); len(s.units[pidVideo]) != want {
		t.Errorf("%d pictures, want %d", len(s.units[pidVideo]), want)
	}
	t.Run("resume", func(t *testing.T) {
		counters := m.Counters()
		cfg := mp3.cfg
		cfg.Resume = &counters
		next, err := mpegts.NewMuxer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		again := mp3
		again.frames = slices.Clone(mp3.frames)
		for i := range again.frames {
			again.frames[i].pts += 2040
			again.frames[i].dts += 2040
		}
		both := slices.Concat(ts, bytes.Join(muxInto(t, next, again), nil))
		if faults := continuity(t, save(t, both)); len(faults) > 0 {
			t.Errorf("dvbinfo: %q", faults)
		}
		if next.Counters().Version != counters.Version+1 {
			t.Errorf("version %d, want %d", next.Counters().Version, counters.Version+1)
		}
	})
	t.Run("not-flushed", func(t *testing.T) {
		write(t, m, nil, mp3.only(media.TypeAudio).frames[0].shifted(20000))
		if err := m.Reconfigure(av.cfg); !errors.Is(err, mpegts.ErrNotFlushed) {
			t.Errorf("error %v, want %v", err, mpegts.ErrNotFlushed)
		}
	})
}

func (f frame) shifted(ms int64) frame {
	f.pts += ms
	f.dts += ms
	return f
}

// Requirement: S18: what MPEG-TS cannot carry is refused by name.
func TestUnsupported(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  mpegts.Config
		want error
		text string
	}{
		{"av1", mpegts.Config{Video: mpegts.Track{Codec: media.CodecAV1}}, mpegts.ErrUnsupported, "mpegts: cannot carry av1 as video"},
		{"speex", mpegts.Config{Audio: mpegts.Track{Codec: media.CodecSpeex}}, mpegts.ErrUnsupported, "mpegts: cannot carry speex as audio"},
		{"aac-as-video", mpegts.Config{Video: mpegts.Track{Codec: media.CodecAAC}}, mpegts.ErrUnsupported, "mpegts: cannot carry aac as video"},
		{"none", mpegts.Config{}, mpegts.ErrUnsupported, "mpegts: cannot carry a program without tracks"},
		{"aac-eld", mpegts.Config{Audio: mpegts.Track{Codec: media.CodecAAC, Config: []byte{0xF8, 0xE8, 0x50, 0x00}}}, aac.ErrADTS, "mpegts: cannot carry this AAC: aac: ADTS cannot carry audio object type 39, only 1 to 4"},
		{"aac-missing-config", mpegts.Config{Audio: mpegts.Track{Codec: media.CodecAAC}}, aac.ErrMalformed, "aac: malformed: AudioSpecificConfig of 0 bytes ends early: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := mpegts.NewMuxer(c.cfg)
			if !errors.Is(err, c.want) || err.Error() != c.text {
				t.Errorf("error %v, want %q", err, c.text)
			}
		})
	}
	m, err := mpegts.NewMuxer(mpegts.Config{Audio: mpegts.Track{Codec: media.CodecMP3}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.WriteVideo(nil, 0, 0, []byte{1}, true); !errors.Is(err, mpegts.ErrNoTrack) {
		t.Errorf("video without a track: %v", err)
	}
	if _, err := m.WriteAudio(nil, 0, append([]byte("\xff\xfb\x90\x00"), make([]byte, 1<<16)...)); !errors.Is(err, mpegts.ErrUnsupported) {
		t.Errorf("an audio frame of 64 KiB: %v", err)
	}
}

// The muxer itself does not allocate once its buffers have grown.
func TestAllocs(t *testing.T) {
	src := encode(t, argsAV)
	m, err := mpegts.NewMuxer(src.cfg)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]byte, 0, 8<<20)
	shift := int64(0)
	run := func() {
		dst = dst[:0]
		for _, f := range src.frames {
			dst = write(t, m, dst, f.shifted(shift))
		}
		shift += 6000
	}
	run()
	if n := testing.AllocsPerRun(5, run); n != 0 {
		t.Errorf("%v allocations for %d frames, want 0", n, len(src.frames))
	}
}

// FuzzMuxer feeds configurations and payloads of the network: no panic, whole
// packets, nothing lost of dst on an error.
func FuzzMuxer(f *testing.F) {
	f.Add(avcRecord(), []byte{0x12, 0x10}, []byte("\x00\x00\x00\x02\x65\x88"), int64(0), int64(0))
	f.Add(avcRecord(), []byte{0x11, 0x90}, []byte("\x00\x00\x00\x09\x65"), int64(1<<33), int64(-90000))
	f.Add(avcRecord(), []byte{0xF8, 0xE8, 0x50, 0x00}, []byte{}, int64(0), int64(1<<62))
	f.Add(hvcRecord(), []byte("OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"), []byte("\x00\x00\x00\x03\x26\x01\x88"), int64(0), int64(0))
	f.Add(hvcRecord(), []byte("\x0b\x77\x00\x00\x14\x40\x43"), []byte("\x0b\x77\x01\x7f\x34\x80\x00"), int64(0), int64(40))
	f.Fuzz(func(t *testing.T, video, audio, payload []byte, dts, cto int64) {
		for _, v := range []media.Codec{media.CodecUnknown, media.CodecH264, media.CodecHEVC} {
			for _, a := range []media.Codec{
				media.CodecUnknown, media.CodecAAC, media.CodecMP3, media.CodecAC3, media.CodecEAC3, media.CodecOpus,
			} {
				cfg := mpegts.Config{Video: mpegts.Track{Codec: v, Config: video}, Audio: mpegts.Track{Codec: a, Config: audio}, Metadata: true}
				if m, err := mpegts.NewMuxer(cfg); err == nil {
					muxAnything(t, m, payload, dts, cto)
				}
			}
		}
	})
}

func muxAnything(t *testing.T, m *mpegts.Muxer, payload []byte, dts, cto int64) {
	t.Helper()
	ts := m.WriteTables(nil)
	for i := range int64(3) {
		at := dts%(1<<40) + i*3000
		for _, write := range []func() ([]byte, error){
			func() ([]byte, error) { return m.WriteVideo(ts, at+cto%(1<<40), at, payload, i == 0) },
			func() ([]byte, error) { return m.WriteAudio(ts, at, payload) },
			func() ([]byte, error) { return m.WriteMetadata(ts, at, payload) },
		} {
			next, err := write()
			if err != nil && len(next) != len(ts) {
				t.Fatalf("error %v, but %d bytes were written", err, len(next)-len(ts))
			}
			ts = next
		}
	}
	if ts = m.Flush(ts); len(ts)%188 != 0 {
		t.Fatalf("%d bytes are not whole packets", len(ts))
	}
	for i := 0; i < len(ts); i += 188 {
		if ts[i] != 0x47 {
			t.Fatalf("byte %d is %#x, not a sync byte", i, ts[i])
		}
	}
}
