package tsmux

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	astits "github.com/asticode/go-astits"

	"tmms/media"
	"tmms/media/mpegts"
)

// Bodies as FLV carries them: H.264 320x240 and 640x360, AAC 44.1 and 48 kHz.
const (
	avc240 = "17000000000142c00dffe100166742c00dda0507ec0440000003004000000c83c50aa801000468ce0fc8"
	avc360 = "17000000000142c01effe100196742c01eda0280bfe5c044000003000400000300c83c58ba8001000468ce0fc8"
	aac44  = "af001210"
	aac48  = "af001188"
	hevc   = "1c0000000001"
)

func body(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func picture(key bool) []byte {
	if key {
		return append([]byte{0x17, 1, 0, 0, 0, 0, 0, 0, 9, 0x65}, make([]byte, 8)...)
	}
	return append([]byte{0x27, 1, 0, 0, 0, 0, 0, 0, 9, 0x41}, make([]byte, 8)...)
}

func sound() []byte { return append([]byte{0xAF, 1}, make([]byte, 60)...) }

// mp3Frame is a frame of MPEG-1 layer III, 44.1 kHz, 128 kbit/s.
func mp3Frame(mode byte) []byte {
	return append([]byte{0x2F, 0xFF, 0xFB, 0x90, mode}, make([]byte, 413)...)
}

// rig feeds a Live and keeps what it makes.
type rig struct {
	t   *testing.T
	l   Live
	ts  []byte
	now media.Timestamp
}

func begin(t *testing.T, configs ...string) *rig {
	t.Helper()
	r := &rig{t: t}
	for _, c := range configs {
		b := body(t, c)
		typ := media.TypeVideo
		if b[0] == 0xAF || bytes.HasPrefix(b[1:], []byte("Opus")) {
			typ = media.TypeAudio
		}
		r.l.Configure(typ, b)
	}
	r.l.Begin(0)
	return r
}

func (r *rig) video(b []byte) { r.ts = r.l.Append(r.ts, media.TypeVideo, r.now, b) }
func (r *rig) audio(b []byte) { r.ts = r.l.Append(r.ts, media.TypeAudio, r.now, b) }

// second pushes a group of both tracks.
func (r *rig) second() {
	for i := range 25 {
		if i == 0 {
			r.ts = r.l.Group(r.ts, r.now)
		}
		r.video(picture(i == 0))
		r.audio(sound())
		r.now += 40
	}
}

// seen gives the stream types of each version of the PMT, and the units by PID.
func (r *rig) seen() (pmts []string, units map[uint16]int) {
	r.t.Helper()
	r.ts = r.l.Flush(r.ts)
	units = map[uint16]int{}
	d := astits.NewDemuxer(context.Background(), bytes.NewReader(r.ts), astits.DemuxerOptPacketSize(188))
	for {
		data, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return pmts, units
		}
		if err != nil {
			r.t.Fatal(err)
		}
		switch {
		case data.PMT != nil:
			var types []byte
			for _, e := range data.PMT.ElementaryStreams {
				types = append(types, byte(e.StreamType))
			}
			if s := hex.EncodeToString(types); len(pmts) == 0 || pmts[len(pmts)-1] != s {
				pmts = append(pmts, s)
			}
		case data.PES != nil:
			units[data.PID]++
		}
	}
}

// TestTracksOfALiveStream: the PMT has the tracks that exist, when they do.
func TestTracksOfALiveStream(t *testing.T) {
	for _, c := range []struct {
		name    string
		configs []string
		push    func(*rig)
		pmts    []string
		video   int
	}{
		{"both", []string{avc240, aac44}, func(r *rig) { r.second() }, []string{"1b0f"}, 25},
		{"codec-change", []string{avc240, aac44}, func(r *rig) {
			r.second()
			r.video(body(t, avc360))
			r.audio(body(t, aac48))
			r.video(picture(false)) // of the old configuration: nothing can be made of it
			r.second()
		}, []string{"1b0f"}, 50},
		{"repeated-headers", []string{avc240, aac44}, func(r *rig) {
			r.second()
			r.video(body(t, avc240))
			r.audio(body(t, aac44))
			r.video(picture(false))
		}, []string{"1b0f"}, 26},
		{"late-audio", []string{avc240}, func(r *rig) {
			r.video(picture(true))
			r.audio(body(t, aac44))
			r.second()
		}, []string{"1b", "1b0f"}, 26},
		{"audio-ends", []string{avc240, aac44}, func(r *rig) {
			r.second()
			for range 4 {
				r.ts = r.l.Group(r.ts, r.now)
				r.video(picture(true))
				r.now += 1000
			}
		}, []string{"1b0f", "1b"}, 29},
		{"mp3", []string{avc240}, func(r *rig) {
			r.l = Live{}
			r.l.Configure(media.TypeVideo, body(t, avc240))
			r.l.Look(media.TypeAudio, 0, mp3Frame(0))
			r.l.Begin(0)
			r.video(picture(true))
			r.audio(mp3Frame(0))
		}, []string{"1b03"}, 1},
		{"hevc", []string{hevc, aac44}, func(r *rig) { r.second() }, []string{"0f"}, 0},
		{"video-becomes-hevc", []string{avc240, aac44}, func(r *rig) {
			r.second()
			r.video(body(t, hevc))
			r.audio(sound())
		}, []string{"1b0f", "0f"}, 25},
		{"delta-first", []string{avc240}, func(r *rig) {
			r.video(picture(false))
			r.video(picture(true))
		}, []string{"1b"}, 1},
		{"malformed", []string{avc240}, func(r *rig) {
			r.video(nil)
			r.video([]byte{0x17})
			r.video([]byte{0x17, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF})
			r.video(picture(true))
		}, []string{"1b"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := begin(t, c.configs...)
			c.push(r)
			pmts, units := r.seen()
			if !slices.Equal(pmts, c.pmts) || units[0x100] != c.video {
				t.Errorf("PMTs %v, %d pictures; want %v, %d", pmts, units[0x100], c.pmts, c.video)
			}
		})
	}
}

// TestAnAnnouncedTrackThatNeverComesIsLeftOut: a second of the stream tells.
func TestAnAnnouncedTrackThatNeverComesIsLeftOut(t *testing.T) {
	var l Live
	l.Configure(media.TypeVideo, body(t, avc240))
	l.Configure(media.TypeAudio, body(t, aac44))
	for i := range 26 {
		l.Look(media.TypeVideo, media.Timestamp(40*i), picture(i == 0))
	}
	l.Begin(0)
	r := &rig{t: t, l: l}
	r.video(picture(true))
	if pmts, _ := r.seen(); !slices.Equal(pmts, []string{"1b"}) {
		t.Errorf("PMTs %v", pmts)
	}
}

func TestNothingIsCarried(t *testing.T) {
	r := begin(t, hevc)
	r.video(append([]byte{0x1C, 1, 0, 0, 0}, make([]byte, 9)...))
	r.ts = r.l.Breaks(r.l.Flush(r.l.Group(r.ts, 0)))
	if r.l.Carries() || r.l.Gathers() || len(r.ts) > 0 {
		t.Errorf("carries %v, %d bytes", r.l.Carries(), len(r.ts))
	}
}

// TestGroupBeginsWithTables: what a group is followed by can be played alone.
func TestGroupBeginsWithTables(t *testing.T) {
	r := begin(t, avc240, aac44)
	r.second()
	r.ts = r.l.Group(r.ts, r.now)
	at := len(r.ts)
	breaks := r.l.Breaks(nil)
	r.second()
	for i, pid := range []uint16{0, 0x1000, 0x100} {
		b := r.ts[at+188*i:]
		if got := uint16(b[1]&0x1F)<<8 | uint16(b[2]); got != pid {
			t.Errorf("packet %d has PID %#x, want %#x", i, got, pid)
		}
		if brk := breaks[188*i:]; brk[3] != 0x20|(b[3]-1)&15 || brk[5] != 0x80 {
			t.Errorf("the break of PID %#x is % x, its next packet % x", pid, brk[:6], b[:6])
		}
	}
	if len(breaks) != 4*188 {
		t.Errorf("%d bytes of breaks", len(breaks))
	}
}

func TestLiveDoesNotAllocate(t *testing.T) {
	r := begin(t, avc240, aac44)
	r.second()
	dst := make([]byte, 0, 64<<10)
	key, delta, snd := picture(true), picture(false), sound()
	if n := testing.AllocsPerRun(100, func() {
		dst = r.l.Group(dst[:0], r.now)
		for i := range 5 {
			p := delta
			if i == 0 {
				p = key
			}
			dst = r.l.Append(dst, media.TypeVideo, r.now, p)
			dst = r.l.Append(dst, media.TypeAudio, r.now, snd)
			r.now += 40
		}
	}); n != 0 {
		t.Errorf("%v allocations in a group", n)
	}
}

func TestCheckNamesWhatCannotBeCarried(t *testing.T) {
	for _, c := range []mpegts.Track{{}, {Codec: media.CodecAV1}, {Codec: media.CodecOpus}} {
		if err := Check(media.TypeVideo, c); !errors.Is(err, mpegts.ErrUnsupported) {
			t.Errorf("%v: %v", c.Codec, err)
		}
	}
	if _, ok := MP3Track([]byte{1, 2, 3, 4}); ok {
		t.Error("noise is taken for MP3")
	}
}

// FuzzLive feeds bodies of any kind: what comes out is whole packets.
func FuzzLive(f *testing.F) {
	for _, s := range []string{avc240, avc360, aac44, hevc, "2ffffb9000", "17010000000000000165", "af0100"} {
		f.Add(body(f, s), body(f, aac44), int64(40))
	}
	for _, b := range [][]byte{exAudio("ac-3", ac3Stereo), exAudio("ec-3", eac3Frame), exAudio("Opus", opusFrame), hevcPicture(true)} {
		f.Add(body(f, hevcHead), b, int64(40))
		f.Add(body(f, opusHead), b, int64(40))
	}
	f.Fuzz(func(t *testing.T, a, b []byte, dts int64) {
		var l Live
		l.Configure(media.TypeVideo, body(t, avc240))
		l.Look(media.TypeVideo, media.Timestamp(dts), a)
		l.Begin(0)
		var ts []byte
		for i, p := range [][]byte{a, picture(true), b, a} {
			ts = l.Append(ts, media.TypeVideo, media.Timestamp(dts)>>20+media.Timestamp(i), p)
			ts = l.Append(ts, media.TypeAudio, media.Timestamp(dts)>>20+media.Timestamp(i), p)
			ts = l.Group(ts, media.Timestamp(dts)>>20)
		}
		if ts = l.Flush(ts); len(ts)%188 != 0 {
			t.Errorf("%d bytes", len(ts))
		}
	})
}
