package mpegts_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"tmms/media"
	"tmms/media/id3"
	"tmms/media/mpegts"
)

// Parameter sets, which come out in front of each keyframe.
var (
	avcSets = [][]byte{[]byte("\x67\x42\xc0\x1e\xd9\x00\xa0\x47\xfe\x88"), []byte("\x68\xce\x3c\x80")}
	hvcSets = [][]byte{
		[]byte("\x40\x01\x0c\x01\xff\xff\x80"),
		[]byte("\x42\x01\x01\x01\x60\x00\x00\x03\x00\xb0\x00\x00\x03\x00\x00\x03\x00\x5d\xa0\x0a\x08\x0f\x16\x59\x59\xa4\x93\x2b\x80"),
		[]byte("\x44\x01\xc1\x73\xd1\x89"),
	}
)

func avcRecord() []byte {
	b := []byte{1, 0x42, 0xc0, 0x1e, 0xFF}
	for i, s := range avcSets {
		b = append(append(b, []byte{0xE1, 1}[i], 0, byte(len(s))), s...)
	}
	return b
}

func hvcRecord() []byte {
	b := []byte("\x01\x01\x60\x00\x00\x00\xb0\x00\x00\x00\x00\x00\x5d\xf0\x00\xfc\xfd\xf8\xf8\x00\x00\x0f\x03")
	for _, s := range hvcSets {
		b = append(append(b, 0x80|s[0]>>1, 0, 1, 0, byte(len(s))), s...)
	}
	return b
}

// push is one thing that goes in, and what of it comes out.
type push struct {
	pts, dts int64
	es       []byte
}

// trip is a random stream: what is written, and what is to come out, by PID.
type trip struct {
	t    *testing.T
	rng  *rand.Rand
	m    *mpegts.Muxer
	cfg  mpegts.Config
	ts   []byte
	want map[uint16][]push
}

func (r *trip) one(n int) bool { return r.rng.IntN(n) == 0 }

// size favours what just fits into packets.
func (r *trip) size(most int) int {
	if r.one(2) {
		return max(1, min(most, 184*(1+r.rng.IntN(4))+r.rng.IntN(64)-48))
	}
	return 1 + r.rng.IntN(most)
}

func (r *trip) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.rng.Uint32())
	}
	return b
}

// roundTrip muxes what seed stands for and compares what go-astits demuxes.
func roundTrip(t *testing.T, seed uint64) {
	t.Helper()
	r := &trip{t: t, rng: rand.New(rand.NewPCG(seed, 1)), want: map[uint16][]push{}}
	r.configure()
	var err error
	if r.m, err = mpegts.NewMuxer(r.cfg); err != nil {
		t.Fatal(err)
	}
	at := int64(0)
	if r.one(4) {
		at = 1<<33 - mpegts.TimeOffset - 90000 // it wraps soon
	}
	r.ts = r.m.WriteTables(nil)
	for range 1 + r.rng.IntN(24) {
		at += 1 + r.rng.Int64N(8000)
		r.step(at)
	}
	r.ts = r.m.Flush(r.ts)
	if r.clocked() {
		r.compare()
	}
}

func (r *trip) configure() {
	switch r.rng.IntN(3) {
	case 0:
		r.cfg.Video = mpegts.Track{Codec: media.CodecH264, Config: avcRecord()}
	case 1:
		r.cfg.Video = mpegts.Track{Codec: media.CodecHEVC, Config: hvcRecord()}
	}
	audio := []mpegts.Track{
		{Codec: media.CodecAAC, Config: []byte{0x11, 0x90}},
		{Codec: media.CodecMP3},
		{Codec: media.CodecAC3},
		{Codec: media.CodecEAC3},
		{Codec: media.CodecOpus, Config: []byte("\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00")},
		{},
	}
	if r.cfg.Video.Codec == media.CodecUnknown {
		audio = audio[:5]
	}
	r.cfg.Audio = audio[r.rng.IntN(len(audio))]
	r.cfg.Metadata = r.one(3)
}

// clocked says that the track which carries the clock has begun.
func (r *trip) clocked() bool {
	if r.cfg.Video.Codec != media.CodecUnknown {
		return len(r.want[pidVideo]) > 0
	}
	return len(r.want[pidAudio]) > 0
}

func (r *trip) step(at int64) {
	var err error
	if r.one(6) { // a cut
		r.ts = r.m.WriteTables(r.m.Flush(r.ts))
	}
	switch video, audio := r.cfg.Video.Codec, r.cfg.Audio.Codec; {
	case r.cfg.Metadata && r.one(4) && r.clocked():
		tag := id3.AppendTXXX(nil, "seed", string(r.bytes(r.size(400))))
		r.ts, err = r.m.WriteMetadata(r.ts, at, tag)
		r.want[pidMetadata] = append(r.want[pidMetadata], push{at, at, tag})
	case video != media.CodecUnknown && (audio == media.CodecUnknown || r.one(2)):
		payload, es, key := r.picture()
		p := push{at + r.rng.Int64N(2)*r.rng.Int64N(20000), at, es}
		r.ts, err = r.m.WriteVideo(r.ts, p.pts, p.dts, payload, key)
		r.want[pidVideo] = append(r.want[pidVideo], p)
	default:
		frame := r.sound()
		r.ts, err = r.m.WriteAudio(r.ts, at, frame)
		r.want[pidAudio] = append(r.want[pidAudio], push{at, at, frame})
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// picture makes an access unit, and what is to come of it.
func (r *trip) picture() (payload, es []byte, key bool) {
	key = r.one(4)
	head, start, other, sets := "\x00\x00\x00\x01\x09\xf0", []byte{0x65}, []byte{0x41}, avcSets
	if r.cfg.Video.Codec == media.CodecHEVC {
		head, start, other, sets = "\x00\x00\x00\x01\x46\x01\x50", []byte{0x26, 1}, []byte{0x02, 1}, hvcSets
	}
	es = append(es, head...)
	add := func(to, n []byte) []byte { return append(append(to, 0, 0, 0, 1), n...) }
	if key {
		for _, s := range sets {
			es = add(es, s)
		}
	}
	for i := range 1 + r.rng.IntN(3) {
		if key && r.one(3) { // in band, or a delimiter: they are put in front anyway
			s := append([][]byte{[]byte(head[4:])}, sets...)[r.rng.IntN(len(sets)+1)]
			payload = append(append(payload, 0, 0, 0, byte(len(s))), s...)
		}
		n := append([]byte{}, other...)
		if key && i == 0 {
			n = append([]byte{}, start...)
		}
		n = append(n, r.bytes(r.size(3000))...)
		payload = append(append(payload, 0, 0, byte(len(n)>>8), byte(len(n))), n...)
		es = add(es, n)
	}
	return payload, es, key
}

// sound makes an audio frame.
func (r *trip) sound() []byte {
	switch r.cfg.Audio.Codec {
	case media.CodecMP3:
		return append([]byte("\xff\xfb\x90\x00"), r.bytes(413)...)
	case media.CodecAC3:
		return append([]byte("\x0b\x77\x00\x00\x14\x40\x43"), r.bytes(761)...)
	case media.CodecEAC3:
		n := r.size(1000)
		words := (n + 8) / 2
		return append([]byte{0x0b, 0x77, byte((words - 1) >> 8), byte(words - 1), 0x34, 0x80, 0}, r.bytes(2*words-7)...)
	case media.CodecOpus:
		return append([]byte{0xFC}, r.bytes(r.size(1200)-1)...)
	default:
		return r.bytes(r.size(2000))
	}
}

// compare holds what was demuxed against what was pushed.
func (r *trip) compare() {
	r.t.Helper()
	s := judge(r.t, r.ts)
	for _, pid := range []uint16{pidVideo, pidMetadata} {
		if len(s.units[pid]) != len(r.want[pid]) {
			r.t.Fatalf("PID %#x: %d units, want %d", pid, len(s.units[pid]), len(r.want[pid]))
		}
		for i, w := range r.want[pid] {
			if u := s.units[pid][i]; u.pts != ticks33(w.pts) || u.dts != ticks33(w.dts) || !bytes.Equal(u.data, w.es) {
				r.t.Fatalf("PID %#x, unit %d: PTS %d DTS %d and %d bytes, want %d, %d, %d",
					pid, i, u.pts, u.dts, len(u.data), ticks33(w.pts), ticks33(w.dts), len(w.es))
			}
		}
	}
	frames := r.want[pidAudio]
	for i, u := range s.units[pidAudio] {
		if len(frames) == 0 || u.pts != ticks33(frames[0].pts) {
			r.t.Fatalf("audio unit %d has PTS %d, %d frames are left", i, u.pts, len(frames))
		}
		for got := raw(r.t, r.cfg.Audio.Codec, u.data); len(got) > 0; frames = frames[1:] {
			if len(frames) == 0 || !bytes.HasPrefix(got, frames[0].es) {
				r.t.Fatalf("audio unit %d of %d bytes is not what was pushed, %d frames are left", i, len(u.data), len(frames))
			}
			got = got[len(frames[0].es):]
		}
	}
	if len(frames) > 0 {
		r.t.Fatalf("%d audio frames did not come out", len(frames))
	}
}

// ticks33 is a source time in ticks as it stands in the stream.
func ticks33(ticks int64) int64 { return (ticks + mpegts.TimeOffset) & (1<<33 - 1) }

// FuzzRoundTrip: what is muxed comes out of an independent demuxer byte by byte,
// at its time. A million of them: FUZZTIME=1000000x make fuzz.
func FuzzRoundTrip(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(roundTrip)
}
