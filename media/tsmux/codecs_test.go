package tsmux

import (
	"bytes"
	"slices"
	"testing"

	"tmms/media"
	"tmms/media/id3"
	"tmms/media/mpegts"
)

// Sequence headers of Enhanced RTMP: HEVC, Opus stereo.
const (
	hevcHead = "9068766331010160000000b000000000005df000fcfdf8f800000f03a00001000740010c01ffff80a10001001d4201010160" +
		"00000300b0000003000003005da00a080f165959a4932b80a2000100064401c173d189"
	opusHead = "904f7075734f707573486561640102380180bb0000000000"
)

func hevcPicture(key bool) []byte {
	b := []byte("\xa1hvc1\x00\x00\x00\x00\x00\x00\x0a\x02\x01")
	if key {
		b = []byte("\x91hvc1\x00\x00\x00\x00\x00\x00\x0a\x26\x01")
	}
	return append(b, make([]byte, 8)...)
}

func exAudio(fourCC, frame string) []byte { return []byte("\x91" + fourCC + frame) }

// Frames of 48 kHz stereo, and AC-3 of 5.1.
var (
	ac3Stereo = "\x0b\x77\x00\x00\x14\x40\x43" + string(make([]byte, 761))
	ac3Five   = "\x0b\x77\x00\x00\x1e\x40\xe1" + string(make([]byte, 1785))
	eac3Frame = "\x0b\x77\x01\x7f\x34\x80\x00" + string(make([]byte, 761))
	opusFrame = "\xfc" + string(make([]byte, 100))
)

// TestCodecsOfALiveStream: HTTP-TS carries all that MPEG-TS does.
func TestCodecsOfALiveStream(t *testing.T) {
	play := func(r *rig, frame string, fourCC string) {
		for range 25 {
			r.audio(exAudio(fourCC, frame))
			r.now += 32
		}
	}
	for _, c := range []struct {
		name    string
		configs []string
		push    func(*rig)
		pmts    []string
		video   int
	}{
		{"hevc+aac", []string{hevcHead, aac44}, func(r *rig) {
			for i := range 25 {
				r.video(hevcPicture(i == 0))
				r.audio(sound())
				r.now += 40
			}
		}, []string{"240f"}, 25},
		{"opus", []string{opusHead}, func(r *rig) { play(r, opusFrame, "Opus") }, []string{"06"}, 0},
		{"ac3", nil, func(r *rig) { play(r, ac3Stereo, "ac-3") }, []string{"81"}, 0},
		{"eac3", nil, func(r *rig) { play(r, eac3Frame, "ec-3") }, []string{"87"}, 0},
		{"ac3-becomes-eac3", nil, func(r *rig) {
			play(r, ac3Stereo, "ac-3")
			play(r, eac3Frame, "ec-3")
		}, []string{"81", "87"}, 0},
		{"noise-is-no-ac3", []string{avc240}, func(r *rig) {
			r.video(picture(true))
			play(r, "noise, noise", "ac-3")
		}, []string{"1b"}, 1},
		{"ac3-is-found-ahead", []string{avc240}, func(r *rig) {
			r.l = Live{}
			r.l.Configure(media.TypeVideo, body(r.t, avc240))
			r.l.Look(media.TypeAudio, 0, exAudio("ac-3", ac3Stereo))
			r.l.Begin(0)
			r.video(picture(true))
			play(r, ac3Stereo, "ac-3")
		}, []string{"1b81"}, 1},
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

// TestCodecsDoNotAllocate: nor do frames that say what they are.
func TestCodecsDoNotAllocate(t *testing.T) {
	for _, c := range []struct{ config, fourCC, frame string }{
		{opusHead, "Opus", opusFrame}, {"", "ac-3", ac3Stereo}, {"", "ec-3", eac3Frame}, {"", ".mp3", "\xff\xfb\x90\x00" + string(make([]byte, 413))},
	} {
		t.Run(c.fourCC, func(t *testing.T) {
			r := begin(t, hevcHead)
			if c.config != "" {
				r.l.Configure(media.TypeAudio, body(t, c.config))
			}
			dst := make([]byte, 0, 64<<10)
			key, delta, snd := hevcPicture(true), hevcPicture(false), exAudio(c.fourCC, c.frame)
			group := func() {
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
			}
			group()
			if n := testing.AllocsPerRun(100, group); n != 0 {
				t.Errorf("%v allocations in a group", n)
			}
			r.ts = dst
			if _, units := r.seen(); units[0x100] != 5 || units[0x101] == 0 {
				t.Errorf("units %v", units)
			}
		})
	}
}

// TestFrameTrack: two frames of a stream are of the same track, those of another
// are not.
func TestFrameTrack(t *testing.T) {
	louder := []byte(ac3Stereo)
	louder[4] = 0x1C // 384 kbit/s
	larger := append([]byte(eac3Frame[:3]), append([]byte{0xFF}, eac3Frame[4:]...)...)
	for _, c := range []struct {
		name  string
		codec media.Codec
		a, b  string
		ok    bool
		same  bool
	}{
		{"mp3", media.CodecMP3, "\xff\xfb\x90\x00", "\xff\xfa\xb0\x44", true, true},
		{"mp3-mono", media.CodecMP3, "\xff\xfb\x90\x00", "\xff\xfb\x90\xc0", true, false},
		{"mp3-rate", media.CodecMP3, "\xff\xfb\x90\x00", "\xff\xfb\x94\x00", true, false},
		{"ac3", media.CodecAC3, ac3Stereo, string(louder), true, true},
		{"ac3-channels", media.CodecAC3, ac3Stereo, ac3Five, true, false},
		{"eac3", media.CodecEAC3, eac3Frame, string(larger), true, true},
		{"eac3-rate", media.CodecEAC3, eac3Frame, "\x0b\x77\x01\x7f\x74\x80\x00", true, false},
		{"ac3-as-eac3", media.CodecEAC3, ac3Stereo, eac3Frame, false, false},
		{"aac", media.CodecAAC, "\x12\x10", "\x12\x10", false, false},
	} {
		a, ok := FrameTrack(c.codec, []byte(c.a))
		b, _ := FrameTrack(c.codec, []byte(c.b))
		if ok != c.ok || ok && Same(a, b) != c.same || ok != (Check(media.TypeAudio, a) == nil) {
			t.Errorf("%s: %v, the same %v", c.name, ok, Same(a, b))
		}
	}
}

// TestFirstTagsWait: the track of metadata is announced at the next cut, without a
// break of the others, and the tags that came before it are in it.
func TestFirstTagsWait(t *testing.T) {
	tag := id3.AppendTXXX(nil, "a", "b")
	video := mpegts.Track{Codec: media.CodecH264, Config: body(t, avc240)[5:]}
	for _, c := range []struct {
		name         string
		early, first int // tags before there is a program, and in its first second
		want         int
		pmts         []string
	}{
		{"none", 0, 0, 0, []string{"1b"}},
		{"before-the-program", 1, 1, 3, []string{"1b15"}},
		{"in-the-first-group", 0, 2, 3, []string{"1b", "1b15"}},
		{"too-many", 0, media.MaxHeldMetadata + 3, media.MaxHeldMetadata + 1, []string{"1b", "1b15"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Program
			r := &rig{t: t}
			tags := func(n int, at media.Timestamp) {
				for range n {
					r.ts = p.WriteMetadata(r.ts, at, tag)
				}
			}
			group := func(at media.Timestamp) {
				if _, err := p.Apply(video, mpegts.Track{}); err != nil {
					t.Fatal(err)
				}
				ts, err := p.Write(p.Tables(r.ts), &Frame{
					Type: media.TypeVideo, Key: true, Codec: media.CodecH264, DTS: at, Payload: picture(true)[5:],
				})
				if err != nil {
					t.Fatal(err)
				}
				r.ts = ts
			}
			tags(c.early, 0)
			if len(r.ts) > 0 {
				t.Errorf("%d bytes before there is a program", len(r.ts))
			}
			group(0)
			tags(c.first, 40)
			if changed, err := p.Apply(video, mpegts.Track{}); changed || err != nil {
				t.Errorf("the tracks changed: %v, %v", changed, err)
			}
			group(1000)
			tags(min(c.want, 1), 1040)
			r.ts = p.WriteMetadata(r.ts, 1040, make([]byte, media.MaxTimedMetadata+1))
			r.ts = p.WriteMetadata(r.ts, 1040, nil)
			pmts, units := r.seen()
			if !slices.Equal(pmts, c.pmts) || units[0x100] != 2 || units[0x102] != c.want || bytes.Count(r.ts, tag) != c.want {
				t.Errorf("PMTs %v, %d pictures, %d tags; want %v, 2, %d", pmts, units[0x100], units[0x102], c.pmts, c.want)
			}
		})
	}
}
