package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tmms/media"
	"tmms/media/flv"
)

// Video and audio packet types of Enhanced RTMP v2.
const (
	exStart, exCoded, exCodedX, exMeta = 0, 1, 3, 4
	exAudioMulti, exMulti, exModEx     = 5, 6, 7
)

// exVideo and exAudio are bodies with a FourCC; frame is 1 of a keyframe.
func exVideo(frame, packet byte, rest string) string {
	return string([]byte{0x80 | frame<<4 | packet}) + rest
}
func exAudio(packet byte, rest string) string { return string([]byte{0x90 | packet}) + rest }

// track is a track of a multitrack body with a size.
func track(id byte, payload string) string {
	return string([]byte{id, byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload))}) + payload
}

// one, many and mixed are multitrack video bodies: OneTrack, ManyTracks and
// ManyTracksManyCodecs.
func one(frame, packet byte, fourCC string, id byte, payload string) string {
	return exVideo(frame, exMulti, string([]byte{packet})+fourCC+string([]byte{id})+payload)
}

func many(frame, packet byte, fourCC string, tracks ...string) string {
	return exVideo(frame, exMulti, string([]byte{0x10 | packet})+fourCC+strings.Join(tracks, ""))
}

func mixed(frame, packet byte, tracks ...string) string {
	return exVideo(frame, exMulti, string([]byte{0x20 | packet})+strings.Join(tracks, ""))
}

// bodies are the audio and video bodies in the log.
func bodies(list []logged) (b []string) {
	for _, e := range list {
		if e.Type != media.TypeData {
			b = append(b, e.body)
		}
	}
	return b
}

// Requirement: S8 (bodies with enhanced headers enter the log as they were pushed).
func TestEnhancedCodecs(t *testing.T) {
	cts := "\x00\x00\x28"
	for _, tt := range []struct {
		name   string
		codec  media.Codec
		typ    media.Type
		fourCC string
		config string // "": none
		key    string
	}{
		{"avc1", media.CodecH264, media.TypeVideo, "avc1", "avcC", cts + "nal"},
		{"hvc1", media.CodecHEVC, media.TypeVideo, "hvc1", "hvcC", cts + "nal"},
		{"av01", media.CodecAV1, media.TypeVideo, "av01", "av1C", "obu"},
		{"vp09", media.CodecVP9, media.TypeVideo, "vp09", "vpcC", "frame"},
		{"vp08", media.CodecVP8, media.TypeVideo, "vp08", "vpcC", "frame"},
		{"Opus", media.CodecOpus, media.TypeAudio, "Opus", "OpusHead\x01\x02", "frame"},
		{"ac-3", media.CodecAC3, media.TypeAudio, "ac-3", "", "frame"},
		{"ec-3", media.CodecEAC3, media.TypeAudio, "ec-3", "", "frame"},
		{"fLaC", media.CodecFLAC, media.TypeAudio, "fLaC", "fLaC", "frame"},
		{"mp4a", media.CodecAAC, media.TypeAudio, "mp4a", "\x12\x10", "frame"},
		{".mp3", media.CodecMP3, media.TypeAudio, ".mp3", "", "frame"},
	} {
		t.Run("ertmp-codecs "+tt.name, func(t *testing.T) {
			g := newRig(t)
			p, _ := g.attach(testApp(), "")
			var want []string
			send := func(ts uint32, body string) {
				p.send(t, tt.typ, ts, body)
				want = append(want, body)
			}
			body := func(frame, packet byte, rest string) string {
				if tt.typ == media.TypeVideo {
					return exVideo(frame, packet, tt.fourCC+rest)
				}
				return exAudio(packet, tt.fourCC+rest)
			}
			if tt.config != "" {
				send(0, body(1, exStart, tt.config))
			}
			send(0, body(1, exCoded, tt.key))
			send(40, body(2, exCoded, tt.key))
			p.send(t, tt.typ, 60, body(1, 2, "")) // the end of the sequence is the session's own
			list := entries(t, g.live())
			if got := bodies(list); !slices.Equal(got, want) {
				t.Errorf("log %q, want %q", got, want)
			}
			for _, e := range list {
				if e.Type != media.TypeData && e.Codec != tt.codec {
					t.Errorf("%q has the codec %v, want %v", e.body, e.Codec, tt.codec)
				}
			}
			i, _ := g.Stream(testKey())
			if got := max(i.Tracks.Video.Codec, i.Tracks.Audio.Codec); got != tt.codec {
				t.Errorf("the stream has %v, want %v", got, tt.codec)
			}
			md, ok, err := flv.ParseMetadata(g.live().Configs().Metadata)
			if err != nil || !ok || max(md.VideoCodec, md.AudioCodec) != tt.codec {
				t.Errorf("metadata %+v, %v, %v", md, ok, err)
			}
		})
	}
}

// CASES: hevc-codecid12. It goes out as it came, and metadata says so.
func TestHEVCByNumber(t *testing.T) {
	t.Run("hevc-codecid12", func(t *testing.T) {
		g := newRig(t)
		p, _ := g.attach(testApp(), "")
		want := []string{"\x1c\x00\x00\x00\x00hvcC", "\x1c\x01\x00\x00\x00key", "\x2c\x01\xff\xff\xf6delta"}
		for i, body := range want {
			p.video(t, uint32(i*40), body)
		}
		list := entries(t, g.live())
		if got := bodies(list); !slices.Equal(got, want) {
			t.Errorf("log %q, want %q", got, want)
		}
		if e := list[len(list)-1]; e.Codec != media.CodecHEVC || e.CTO != -10 {
			t.Errorf("%v with a composition time of %d ms, want hevc and -10", e.Codec, e.CTO)
		}
		if i, _ := g.Stream(testKey()); i.Tracks.Video.ID != 12 {
			t.Errorf("codec id %d", i.Tracks.Video.ID)
		}
	})
}

// CASES: ertmp-x (no composition time; a negative one), ertmp-modex (the offset
// stays in the body, what is unknown too).
func TestEnhancedTimes(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		cto        int32
		nano       uint32
	}{
		{"ertmp-x", exVideo(1, exCodedX, "hvc1nal"), 0, 0},
		{"ertmp-x avc1", exVideo(1, exCodedX, "avc1nal"), 0, 0},
		{"ertmp-x negative", exVideo(1, exCoded, "hvc1\xff\xff\xd8nal"), -40, 0},
		{"ertmp-x least", exVideo(1, exCoded, "avc1\x80\x00\x00nal"), -1 << 23, 0},
		{"ertmp-modex nano", exVideo(1, exModEx, "\x02\x0f\x42\x3f\x03hvc1nal"), 0, 999999},
		{"ertmp-modex unknown", exVideo(1, exModEx, "\x00z\xf3hvc1nal"), 0, 0},
		{"ertmp-modex unknown, 300 bytes", exVideo(1, exModEx, "\xff\x01\x2b"+strings.Repeat("z", 300)+"\xf3hvc1nal"), 0, 0},
		{"ertmp-modex unknown, then nano", exVideo(1, exModEx, "\x00z\xf7\x02\x00\x00\x07\x03hvc1nal"), 0, 7},
		{"ertmp-modex and multitrack", exVideo(1, exModEx, "\x02\x00\x00\x09\x06\x03hvc1\x00nal"), 0, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			p, _ := g.attach(testApp(), "")
			p.video(t, 0, tt.body)
			list := entries(t, g.live())
			e := list[len(list)-1]
			if e.body != tt.body || e.CTO != tt.cto || e.Kind != media.KindKey || e.Codec == media.CodecUnknown {
				t.Errorf("log %q with %d ms, kind %d, %v", e.body, e.CTO, e.Kind, e.Codec)
			}
			info, err := flv.Describe(media.TypeVideo, []byte(e.body))
			if err != nil || info.Nano != tt.nano || string(info.Payload) != "nal" {
				t.Errorf("%d ns, payload %q, %v; want %d", info.Nano, info.Payload, err, tt.nano)
			}
		})
	}
}

// headerBodies are those that who joins at the newest group gets, metadata aside.
func (g *rig) headerBodies() (list []string) {
	g.t.Helper()
	j, ok := g.live().NewestGroup()
	if !ok {
		g.t.Fatal("nobody can join")
	}
	for _, h := range j.Configs.Headers {
		list = append(list, string(h.Body))
	}
	return list
}

// decoded is what a decoder that gets bodies in turn has in the end: by track, its
// configuration and what lies beside it.
func decoded(t *testing.T, typ media.Type, list []string) map[string]string {
	t.Helper()
	have := map[string]string{}
	for _, body := range list {
		for i, err := range flv.Tracks(typ, []byte(body)) {
			if err != nil {
				t.Fatal(err)
			}
			what := "config"
			if i.Beside {
				what = "beside"
			}
			have[fmt.Sprintf("%s %d", what, i.Track)] = string(i.Payload)
		}
	}
	return have
}

func TestLateJoiners(t *testing.T) {
	key := func(id byte) string { return one(1, exCodedX, "hvc1", id, "key") }
	color := func(id byte, info string) string { return one(1, exMeta, "hvc1", id, info) }
	for _, tt := range []struct {
		name string
		in   []string
		want map[string]string
	}{
		{"a track each", []string{
			one(1, exStart, "hvc1", 0, "A"), one(1, exStart, "hvc1", 1, "B"), key(0), key(1),
		}, map[string]string{"config 0": "A", "config 1": "B"}},
		{"several in one body", []string{
			many(1, exStart, "hvc1", track(0, "A"), track(1, "B")), key(0), key(1),
		}, map[string]string{"config 0": "A", "config 1": "B"}},
		{"of several codecs", []string{
			mixed(1, exStart, "hvc1"+track(0, "A"), "av01"+track(1, "B"), "vp09"+track(5, "C")), key(0), key(1),
		}, map[string]string{"config 0": "A", "config 1": "B", "config 5": "C"}},
		{"the first of several changes", []string{
			many(1, exStart, "hvc1", track(0, "A"), track(1, "B")), key(0), key(1), one(1, exStart, "hvc1", 0, "A2"), key(0),
		}, map[string]string{"config 0": "A2", "config 1": "B"}},
		{"the second of several changes", []string{
			many(1, exStart, "hvc1", track(0, "A"), track(1, "B")), key(0), key(1), one(1, exStart, "hvc1", 1, "B2"), key(0),
		}, map[string]string{"config 0": "A", "config 1": "B2"}},
		{"several after one", []string{
			one(1, exStart, "hvc1", 2, "C"), key(2), many(1, exStart, "hvc1", track(1, "B2"), track(2, "C2")), key(2),
		}, map[string]string{"config 1": "B2", "config 2": "C2"}},
		{"several, one, several again", []string{
			many(1, exStart, "hvc1", track(0, "A"), track(1, "B")), key(0), one(1, exStart, "hvc1", 0, "A2"), key(0),
			many(1, exStart, "hvc1", track(0, "A"), track(1, "B")), key(0),
		}, map[string]string{"config 0": "A", "config 1": "B"}},
		{"colours beside a configuration", []string{
			exVideo(1, exStart, "hvc1A"), exVideo(1, exMeta, "hvc1HDR"), exVideo(1, exCodedX, "hvc1key"),
		}, map[string]string{"config 0": "A", "beside 0": "HDR"}},
		{"the newest colours, and a new configuration", []string{
			exVideo(1, exStart, "hvc1A"), exVideo(1, exMeta, "hvc1HDR"), exVideo(1, exCodedX, "hvc1key"),
			exVideo(1, exMeta, "hvc1SDR"), exVideo(1, exCodedX, "hvc1key"), exVideo(1, exStart, "hvc1A2"), exVideo(1, exCodedX, "hvc1key"),
		}, map[string]string{"config 0": "A2", "beside 0": "SDR"}},
		{"colours of several tracks", []string{
			many(1, exStart, "hvc1", track(0, "A"), track(1, "B")), many(1, exMeta, "hvc1", track(0, "X"), track(1, "Y")),
			key(0), key(1), color(1, "Y2"), key(0),
		}, map[string]string{"config 0": "A", "config 1": "B", "beside 0": "X", "beside 1": "Y2"}},
	} {
		t.Run("ertmp-latejoin "+tt.name, func(t *testing.T) {
			g := newRig(t)
			p, _ := g.attach(testApp(), "")
			for i, body := range tt.in {
				p.video(t, uint32(i*200), body)
			}
			list := entries(t, g.live())
			if got := decoded(t, media.TypeVideo, g.headerBodies()); fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("a late joiner has %q, want %q", got, tt.want)
			}
			// Who was there from the start has the same, and every body as it was pushed.
			var seen []string
			for _, e := range list {
				if e.Kind == media.KindConfig {
					seen = append(seen, e.body)
				}
			}
			if got := decoded(t, media.TypeVideo, seen); fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("an early viewer has %q, want %q", got, tt.want)
			}
			for _, body := range tt.in {
				if !slices.Contains(bodies(list), body) {
					t.Errorf("%q is not in the log", body)
				}
			}
		})
	}
}

// The layout of channels stays beside the audio's configuration.
func TestLateJoinersHearAllChannels(t *testing.T) {
	t.Run("ertmp-latejoin", func(t *testing.T) {
		g := newRig(t)
		p, _ := g.attach(testApp(), "")
		start, layout := exAudio(exStart, "OpusOpusHead\x01\x06\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x04\x02\x00\x04\x01\x02\x03\x05"), exAudio(exMeta, "Opus\x00\x06")
		for range 3 { // repeated-headers
			p.audio(t, 0, start)
			p.audio(t, 0, layout)
			p.audio(t, 0, exAudio(exCoded, "Opusframe"))
		}
		if got := g.headerBodies(); !slices.Equal(got, []string{start, layout}) {
			t.Errorf("headers %q", got)
		}
		if got := bodies(entries(t, g.live())); len(got) != 2+3 {
			t.Errorf("log %q, want each header once", got)
		}
		if i, _ := g.Stream(testKey()); i.Tracks.Audio.Rate != 48000 || i.Tracks.Audio.Channels != 6 {
			t.Errorf("audio %+v", i.Tracks.Audio)
		}
	})
}

func TestMultitrack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		in     []string // video bodies, 40 ms apart
		groups []int    // packets but metadata in each
		drops  map[DropReason]int64
	}{
		{"by the lowest track, whose keyframes come at other times", []string{
			one(1, exCodedX, "hvc1", 1, "key"), one(1, exCodedX, "hvc1", 0, "key"), one(2, exCodedX, "hvc1", 1, "delta"),
			one(1, exCodedX, "hvc1", 1, "key"), one(2, exCodedX, "hvc1", 0, "delta"), one(1, exCodedX, "hvc1", 0, "key"),
			one(1, exCodedX, "hvc1", 1, "key"),
		}, []int{1, 4, 2}, nil},
		{"a body with several tracks", []string{
			many(1, exCodedX, "hvc1", track(0, "key"), track(1, "key")), one(2, exCodedX, "hvc1", 1, "delta"),
			many(2, exCodedX, "hvc1", track(0, "delta"), track(1, "delta")), many(1, exCodedX, "hvc1", track(0, "key"), track(1, "key")),
		}, []int{3, 1}, nil},
		{"several codecs", []string{
			mixed(1, exCoded, "hvc1"+track(0, "\x00\x00\x00key"), "av01"+track(1, "key")),
			mixed(2, exCoded, "hvc1"+track(0, "\x00\x00\x00delta"), "av01"+track(1, "delta")),
		}, []int{2}, nil},
		{"ids that there can't be", []string{
			one(1, exCodedX, "hvc1", 0, "key"), one(1, exCodedX, "hvc1", 8, "key"), one(1, exCodedX, "hvc1", 255, "key"),
			many(1, exStart, "hvc1", track(0, "A"), track(9, "B")), one(1, exMeta, "hvc1", 8, "HDR"),
		}, []int{1}, map[DropReason]int64{DropTracks: 4}},
		{"cut short", []string{
			one(1, exCodedX, "hvc1", 0, "key"), many(1, exCodedX, "hvc1", track(0, "key"), "\x01\x00\x00"),
			one(2, exCodedX, "hvc1", 3, "delta"),
		}, []int{1}, map[DropReason]int64{DropMalformed: 1, DropNoKeyframe: 1}},
	} {
		t.Run("ertmp-multitrack "+tt.name, func(t *testing.T) {
			g := newRig(t)
			p, _ := g.attach(testApp(), "")
			for i, body := range tt.in {
				p.video(t, uint32(i*40), body)
			}
			groups := make([]int, 0, len(tt.groups))
			for _, e := range entries(t, g.live()) {
				if e.Type == media.TypeData {
					continue
				}
				for len(groups) <= int(e.ID.Group) {
					groups = append(groups, 0)
				}
				groups[e.ID.Group]++
			}
			if !slices.Equal(groups, tt.groups) {
				t.Errorf("groups of %v, want %v", groups, tt.groups)
			}
			for _, r := range DropReasons() {
				if n := g.Counters().Dropped(r); n != tt.drops[r] {
					t.Errorf("%d dropped as %v, want %d", n, r, tt.drops[r])
				}
			}
		})
	}
}

// Whatever ids a publisher makes up, what is kept of them is bounded.
func TestTracksAreBounded(t *testing.T) {
	g := newRig(t)
	p, _ := g.attach(testApp(), "")
	for id := range 256 {
		p.video(t, 0, one(1, exStart, "hvc1", byte(id), "A"))
		p.video(t, 0, one(1, exMeta, "hvc1", byte(id), "HDR"))
		p.audio(t, 0, exAudio(exAudioMulti, "\x00Opus"+string([]byte{byte(id)})+"OpusHead"))
		p.video(t, 0, one(1, exCodedX, "hvc1", byte(id), "key"))
	}
	if n := len(g.headerBodies()); n > 2*media.MaxTracks {
		t.Errorf("%d headers", n)
	}
	if n := g.Counters().Dropped(DropTracks); n != 4*(256-media.MaxPublishedTracks) {
		t.Errorf("%d dropped", n)
	}
}

// Requirement: S11 (a stream always has metadata, in front of the rest).
func TestMetadata(t *testing.T) {
	const avc = "\x17\x00\x00\x00\x00\x01\x42\xc0\x1e\xff\xe1\x00\x18" + // 640 x 360, 25 frames a second
		"\x67\x42\xc0\x1e\xd9\x00\xa0\x2f\xf9\x61\x00\x00\x03\x00\x01\x00\x00\x03\x00\x32\x0f\x16\x2e\x48" +
		"\x01\x00\x05\x68\xcb\x83\xcb\x20"
	for _, tt := range []struct {
		name string
		in   func(p *Publisher)
		want string // of the last metadata, key=value
	}{
		{"no-metadata", func(p *Publisher) {
			p.video(t, 0, avc)
			p.audio(t, 0, audioConfig)
			p.video(t, 0, videoKey)
		}, "videocodecid=7 width=640 height=360 framerate=25 audiocodecid=10 audiosamplerate=44100 stereo=1 server=tmms"},
		{"no-metadata, enhanced", func(p *Publisher) {
			p.video(t, 0, exVideo(1, exStart, "av01av1C"))
			p.audio(t, 0, exAudio(exStart, "OpusOpusHead\x01\x06\x38\x01\x80\xbb\x00\x00\x00\x00\x01\x04\x02\x00\x04\x01\x02\x03\x05"))
			p.video(t, 0, exVideo(1, exCoded, "av01obu"))
		}, "videocodecid=av01 audiocodecid=Opus audiosamplerate=48000 stereo=1 audiochannels=6 server=tmms"},
		{"no-metadata, MP3", func(p *Publisher) {
			p.audio(t, 0, "\x2f\xff\xfb\x90\xc4")
		}, "audiocodecid=2 audiosamplerate=44100 stereo=0 server=tmms"},
		{"what the publisher says goes on, but for what the stream shows", func(p *Publisher) {
			p.send(t, media.TypeData, 0, onMetaDataOf("title", "hi", "width", 1280, "server", "me", "framerate", 30))
			p.video(t, 0, avc)
			p.video(t, 0, videoKey)
		}, "title=hi width=640 server=tmms framerate=25 videocodecid=7 height=360"},
		{"what nothing else tells is believed", func(p *Publisher) {
			p.send(t, media.TypeData, 0, onMetaDataOf("width", 1920, "height", 1080, "framerate", 50))
			p.video(t, 0, exVideo(1, exStart, "av01av1C"))
			p.video(t, 0, exVideo(1, exCoded, "av01obu"))
		}, "width=1920 height=1080 framerate=50 videocodecid=av01 server=tmms"},
		{"in AMF3", func(p *Publisher) {
			p.send(t, media.TypeData, 0, "\x02\x00\x0aonMetaData\x11\x0a\x0b\x01\x0bwidth\x04\x8a\x00\x0btitle\x06\x05hi\x01")
			p.video(t, 0, exVideo(1, exCoded, "av01obu"))
		}, "width=1280 title=hi videocodecid=av01 server=tmms"},
		{"what can't be read says nothing", func(p *Publisher) {
			p.send(t, media.TypeData, 0, "\x02\x00\x0aonMetaData\x03\x00\x05wid")
			p.video(t, 0, videoKey)
		}, "videocodecid=7 server=tmms"},
		{"as much as there is room for", func(p *Publisher) {
			p.send(t, media.TypeData, 0, onMetaDataOf("a", strings.Repeat("x", 10000), "b", strings.Repeat("y", 10000), "width", 7))
			p.video(t, 0, avc)
			p.video(t, 0, videoKey)
		}, "a=" + strings.Repeat("x", 10000) + " videocodecid=7 width=640 height=360 framerate=25 server=tmms"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			p, _ := g.attach(testApp(), "")
			tt.in(p)
			list := entries(t, g.live())
			if list[0].Type != media.TypeData || len(list[0].body) > media.MaxMetadata+64 {
				t.Errorf("the log begins with %v of %d bytes", list[0].Type, len(list[0].body))
			}
			if got := metaText(t, g.live().Configs().Metadata); got != tt.want {
				t.Errorf("metadata\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

// A cue comes at its own time, between the frames that it was sent between, in RTMP
// and FLV and to the HLS pipeline alike: they read the same log.
func TestCues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		p, _ := g.attach(testApp(), "")
		cue := func(name string) string { return "\x02\x00" + string([]byte{byte(len(name))}) + name + "\x05" }
		p.publish(t, 5000, 1000)
		for i, tt := range []struct {
			at   uint32
			name string
			want media.Timestamp // less than 0: that of the newest frame
		}{
			{6010, "onTextData", 1010},
			{6030, "onCuePoint", 1030},
			{6030, "onScte35", 1030},
			{6020, "onCaption", 1030},
			{0, "onTextData", -1},
			{90_000_000, "onScte35", -1},
		} {
			p.video(t, 6000+uint32(i)*40, videoDelta)
			p.send(t, media.TypeData, tt.at, cue(tt.name))
			list := entries(t, g.live())
			e := list[len(list)-1]
			want := tt.want
			if want < 0 {
				want = max(list[len(list)-2].DTS, 1030)
			}
			if e.Type != media.TypeData || e.Kind != media.KindData || e.body != cue(tt.name) || e.DTS != want {
				t.Errorf("%s at %d is %v %q at %d, want it at %d", tt.name, tt.at, e.Type, e.body, e.DTS, want)
			}
		}
		p.Detach(errGone)
		p, _ = g.attach(testApp(), "") // its times count from anywhere
		p.publish(t, 0, 40)
		at := g.live().LastDTS()
		p.send(t, media.TypeData, 30, cue("onCuePoint"))
		list := entries(t, g.live())
		if e := list[len(list)-1]; e.DTS < at || e.DTS > at+videoStep {
			t.Errorf("a cue of the second run is at %d, the stream at %d", e.DTS, at)
		}
	})
}

// What is kept for those who join is bounded by bytes and time, whatever is sent.
func TestKept(t *testing.T) {
	for _, tt := range []struct {
		name    string
		seconds int
		step    uint32             // ms between frames
		body    func(i int) string // of frame i
		typ     media.Type         // of the frames
		keep    media.Timestamp    // at least so much can be joined at, ms
		most    int64              // bytes of memory
	}{
		{"gop-20s", 90, 40, func(i int) string {
			if i%500 == 0 {
				return videoKey + strings.Repeat("k", 20000)
			}
			return videoDelta + strings.Repeat("d", 2000)
		}, media.TypeVideo, 20000, 8 << 20},
		{"huge-idr", 12, 40, func(i int) string {
			if i%25 == 0 {
				return videoKey + strings.Repeat("k", 1<<20)
			}
			return videoDelta
		}, media.TypeVideo, 1000, 12 << 20},
		{"10k-fps", 6, 0, func(i int) string { // 0: ten frames each ms
			if i%10000 == 0 {
				return videoKey
			}
			return videoDelta
		}, media.TypeVideo, 1000, 16 << 20},
		{"audio-only", 90, 20, func(int) string { return audioFrame }, media.TypeAudio, 1000, 4 << 20},
		{"one keyframe and no more", 90, 40, func(i int) string {
			if i == 0 {
				return videoKey
			}
			return videoDelta + strings.Repeat("d", 10000)
		}, media.TypeVideo, 0, 12 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			app := testApp()
			app.GOPCache.Bytes, app.GOPCache.Time = 8<<20, 6*time.Second
			p, _ := g.attach(app, "")
			ms, i := uint32(0), 0
			for ; ms < uint32(tt.seconds)*1000; i++ {
				p.send(t, tt.typ, ms, tt.body(i))
				if ms += tt.step; tt.step == 0 && i%10 == 9 {
					ms++
				}
			}
			live := g.live()
			if size := live.Log().Size(); size > tt.most {
				t.Errorf("%d bytes are held after %d frames, want at most %d", size, i, tt.most)
			}
			j, ok := live.Join(3 * time.Second)
			if ok != (tt.keep > 0) {
				t.Fatalf("join: %v", ok)
			}
			e, found := live.Log().At(live.Log().Tail())
			if span := live.LastDTS() - e.DTS; !found || ok && span < tt.keep/2 {
				t.Errorf("%d ms are held, the newest place to join at is at %d of %d", span, j.DTS, live.LastDTS())
			}
		})
	}
}

// A stream whose sound starts seconds behind its picture has both from there on,
// and its metadata says so.
func TestLateAudio(t *testing.T) {
	t.Run("late-audio", func(t *testing.T) {
		g := newRig(t)
		p, _ := g.attach(testApp(), "")
		p.video(t, 0, videoConfig)
		for ms := uint32(0); ms < 8000; ms += videoStep {
			body := videoDelta
			if ms%1000 == 0 {
				body = videoKey
			}
			p.video(t, ms, body)
			if ms == 4000 {
				p.audio(t, ms, audioConfig)
			}
			if ms >= 4000 {
				p.audio(t, ms, audioFrame)
			}
			if text := metaText(t, g.live().Configs().Metadata); strings.Contains(text, "audiocodecid=10") != (ms >= 4000) {
				t.Fatalf("at %d ms metadata says %s", ms, text)
			}
		}
		checkClock(t, entries(t, g.live()))
		if got := g.headerBodies(); !slices.Equal(got, []string{audioConfig, videoConfig}) {
			t.Errorf("headers %q", got)
		}
	})
}
