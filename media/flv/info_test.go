package flv

import (
	"bytes"
	"errors"
	"testing"

	"tmms/media"
)

// describeCases feed TestDescribe and the fuzz seeds.
var describeCases = []struct {
	name string
	typ  media.Type
	body string
	want Info
}{
	// Legacy video.
	{"avc-header", media.TypeVideo, "\x17\x00\x00\x00\x00\x01\x64", Info{Codec: media.CodecH264, Kind: media.KindConfig, Payload: []byte("\x01\x64")}},
	{"avc-key", media.TypeVideo, "\x17\x01\x00\x00\x50nal", Info{Codec: media.CodecH264, Kind: media.KindKey, CTO: 80, Payload: []byte("nal")}},
	{"avc-generated-key", media.TypeVideo, "\x47\x01\x00\x00\x00nal", Info{Codec: media.CodecH264, Kind: media.KindKey, Payload: []byte("nal")}},
	{"negative-cts", media.TypeVideo, "\x27\x01\xff\xff\xd8nal", Info{Codec: media.CodecH264, Kind: media.KindDelta, CTO: -40, Payload: []byte("nal")}},
	{"avc-disposable", media.TypeVideo, "\x37\x01\x00\x00\x00nal", Info{Codec: media.CodecH264, Kind: media.KindDelta, Payload: []byte("nal")}},
	{"avc-end", media.TypeVideo, "\x17\x02\x00\x00\x00", Info{Codec: media.CodecH264, Kind: media.KindEnd}},
	{"avc-end-short", media.TypeVideo, "\x17\x02", Info{Codec: media.CodecH264, Kind: media.KindEnd}},
	{"avc-command", media.TypeVideo, "\x57\x00", Info{Codec: media.CodecH264, Kind: media.KindData, Payload: []byte{0}}},
	{"hevc-codecid12", media.TypeVideo, "\x1c\x01\x00\x00\x01nal", Info{Codec: media.CodecHEVC, Kind: media.KindKey, CTO: 1, Payload: []byte("nal")}},
	{"hevc-codecid12-header", media.TypeVideo, "\x1c\x00\x00\x00\x00cfg", Info{Codec: media.CodecHEVC, Kind: media.KindConfig, Payload: []byte("cfg")}},
	{"h263", media.TypeVideo, "\x12x", Info{Codec: media.CodecH263, Kind: media.KindKey, Payload: []byte("x")}},
	{"screen", media.TypeVideo, "\x23x", Info{Codec: media.CodecScreen, Kind: media.KindDelta, Payload: []byte("x")}},
	{"vp6", media.TypeVideo, "\x14x", Info{Codec: media.CodecVP6, Kind: media.KindKey, Payload: []byte("x")}},
	{"vp6-alpha", media.TypeVideo, "\x25x", Info{Codec: media.CodecVP6, Kind: media.KindDelta, Payload: []byte("x")}},
	{"screen2", media.TypeVideo, "\x16x", Info{Codec: media.CodecScreen, Kind: media.KindKey, Payload: []byte("x")}},
	{"unknown-codec", media.TypeVideo, "\x1fx", Info{Kind: media.KindKey, Payload: []byte("x")}},

	// Legacy audio.
	{"aac-header", media.TypeAudio, "\xaf\x00\x12\x10", Info{Codec: media.CodecAAC, Kind: media.KindConfig, Rate: 44100, Channels: 2, Payload: []byte("\x12\x10")}},
	{"aac", media.TypeAudio, "\xaf\x01raw", Info{Codec: media.CodecAAC, Kind: media.KindAudio, Rate: 44100, Channels: 2, Payload: []byte("raw")}},
	{"mp3", media.TypeAudio, "\x2araw", Info{Codec: media.CodecMP3, Kind: media.KindAudio, Rate: 22050, Channels: 1, Payload: []byte("raw")}},
	{"mp3-8k", media.TypeAudio, "\xe2raw", Info{Codec: media.CodecMP3, Kind: media.KindAudio, Rate: 8000, Channels: 1, Payload: []byte("raw")}},
	{"pcm", media.TypeAudio, "\x30r", Info{Codec: media.CodecPCM, Kind: media.KindAudio, Rate: 5512, Channels: 1, Payload: []byte("r")}},
	{"adpcm", media.TypeAudio, "\x17r", Info{Codec: media.CodecADPCM, Kind: media.KindAudio, Rate: 11025, Channels: 2, Payload: []byte("r")}},
	{"nellymoser-16k", media.TypeAudio, "\x40r", Info{Codec: media.CodecNellymoser, Kind: media.KindAudio, Rate: 16000, Channels: 1, Payload: []byte("r")}},
	{"g711a", media.TypeAudio, "\x70r", Info{Codec: media.CodecG711A, Kind: media.KindAudio, Rate: 8000, Channels: 1, Payload: []byte("r")}},
	{"g711u", media.TypeAudio, "\x80r", Info{Codec: media.CodecG711U, Kind: media.KindAudio, Rate: 8000, Channels: 1, Payload: []byte("r")}},
	{"speex", media.TypeAudio, "\xb0r", Info{Codec: media.CodecSpeex, Kind: media.KindAudio, Rate: 16000, Channels: 1, Payload: []byte("r")}},
	{"device-specific", media.TypeAudio, "\xf0r", Info{Kind: media.KindAudio, Rate: 5512, Channels: 1, Payload: []byte("r")}},

	// Enhanced video.
	{"ertmp-hvc1-header", media.TypeVideo, "\x90hvc1cfg", Info{Codec: media.CodecHEVC, Kind: media.KindConfig, Payload: []byte("cfg")}},
	{"ertmp-hvc1-key", media.TypeVideo, "\x91hvc1\x00\x00\x28nal", Info{Codec: media.CodecHEVC, Kind: media.KindKey, CTO: 40, Payload: []byte("nal")}},
	{"ertmp-hvc1-negative", media.TypeVideo, "\xa1hvc1\xff\xff\xffnal", Info{Codec: media.CodecHEVC, Kind: media.KindDelta, CTO: -1, Payload: []byte("nal")}},
	{"ertmp-avc1-key", media.TypeVideo, "\x91avc1\x00\x00\x01nal", Info{Codec: media.CodecH264, Kind: media.KindKey, CTO: 1, Payload: []byte("nal")}},
	{"ertmp-x", media.TypeVideo, "\xa3hvc1nal", Info{Codec: media.CodecHEVC, Kind: media.KindDelta, Payload: []byte("nal")}},
	{"ertmp-av01-key", media.TypeVideo, "\x91av01obu", Info{Codec: media.CodecAV1, Kind: media.KindKey, Payload: []byte("obu")}},
	{"ertmp-av01-mpeg2ts", media.TypeVideo, "\x95av01d", Info{Codec: media.CodecAV1, Kind: media.KindConfig, Payload: []byte("d")}},
	{"ertmp-vp09", media.TypeVideo, "\xa1vp09x", Info{Codec: media.CodecVP9, Kind: media.KindDelta, Payload: []byte("x")}},
	{"ertmp-vp08", media.TypeVideo, "\xa1vp08x", Info{Codec: media.CodecVP8, Kind: media.KindDelta, Payload: []byte("x")}},
	{"ertmp-unknown", media.TypeVideo, "\xa1zzzzx", Info{Kind: media.KindDelta, Payload: []byte("x")}},
	{"ertmp-metadata", media.TypeVideo, "\x94hvc1amf", Info{Codec: media.CodecHEVC, Kind: media.KindData, Payload: []byte("amf")}},
	{"ertmp-command-metadata", media.TypeVideo, "\xd4hvc1amf", Info{Codec: media.CodecHEVC, Kind: media.KindData, Payload: []byte("amf")}},
	{"ertmp-command", media.TypeVideo, "\xd1\x01", Info{Kind: media.KindData, Payload: []byte{1}}},
	{"ertmp-end", media.TypeVideo, "\x92hvc1", Info{Codec: media.CodecHEVC, Kind: media.KindEnd}},
	{"ertmp-reserved-type", media.TypeVideo, "\x98hvc1x", Info{Codec: media.CodecHEVC, Kind: media.KindData, Payload: []byte("x")}},
	{"ertmp-multitrack-one", media.TypeVideo, "\x96\x01avc1\x03\x00\x00\x02nal", Info{Codec: media.CodecH264, Kind: media.KindKey, Track: 3, CTO: 2, Payload: []byte("nal")}},
	{"ertmp-multitrack-many", media.TypeVideo, "\xa6\x13hvc1\x05\x00\x00\x03nal\x06\x00\x00\x01x", Info{Codec: media.CodecHEVC, Kind: media.KindDelta, Track: 5, Payload: []byte("nal")}},
	{"ertmp-multitrack-codecs", media.TypeVideo, "\x96\x20hvc1\x05\x00\x00\x03cfgav01\x06\x00\x00\x01x", Info{Codec: media.CodecHEVC, Kind: media.KindConfig, Track: 5, Payload: []byte("cfg")}},
	{"ertmp-modex-nano", media.TypeVideo, "\xa7\x02\x00\x01\x02\x03hvc1nal", Info{Codec: media.CodecHEVC, Kind: media.KindDelta, Nano: 0x102, Payload: []byte("nal")}},
	{"ertmp-modex-unknown", media.TypeVideo, "\xa7\x00z\xf3hvc1nal", Info{Codec: media.CodecHEVC, Kind: media.KindDelta, Payload: []byte("nal")}},
	{"ertmp-modex-twice", media.TypeVideo, "\xa7\x00z\xf7\x02\x00\x00\x07\x03hvc1nal", Info{Codec: media.CodecHEVC, Kind: media.KindDelta, Nano: 7, Payload: []byte("nal")}},
	{"ertmp-modex-16-bit", media.TypeVideo, "\xa7\xff\x01\x00" + string(make([]byte, 257)) + "\xf3hvc1nal", Info{Codec: media.CodecHEVC, Kind: media.KindDelta, Payload: []byte("nal")}},

	// Enhanced audio.
	{"ertmp-opus-header", media.TypeAudio, "\x90Opuscfg", Info{Codec: media.CodecOpus, Kind: media.KindConfig, Payload: []byte("cfg")}},
	{"ertmp-opus", media.TypeAudio, "\x91Opusraw", Info{Codec: media.CodecOpus, Kind: media.KindAudio, Payload: []byte("raw")}},
	{"ertmp-mp4a", media.TypeAudio, "\x91mp4araw", Info{Codec: media.CodecAAC, Kind: media.KindAudio, Payload: []byte("raw")}},
	{"ertmp-mp3", media.TypeAudio, "\x91.mp3raw", Info{Codec: media.CodecMP3, Kind: media.KindAudio, Payload: []byte("raw")}},
	{"ertmp-ac-3", media.TypeAudio, "\x91ac-3raw", Info{Codec: media.CodecAC3, Kind: media.KindAudio, Payload: []byte("raw")}},
	{"ertmp-ec-3", media.TypeAudio, "\x91ec-3raw", Info{Codec: media.CodecEAC3, Kind: media.KindAudio, Payload: []byte("raw")}},
	{"ertmp-fLaC", media.TypeAudio, "\x91fLaCraw", Info{Codec: media.CodecFLAC, Kind: media.KindAudio, Payload: []byte("raw")}},
	{"ertmp-multichannel", media.TypeAudio, "\x94Opus\x00\x02", Info{Codec: media.CodecOpus, Kind: media.KindData, Payload: []byte{0, 2}}},
	{"ertmp-audio-end", media.TypeAudio, "\x92Opus", Info{Codec: media.CodecOpus, Kind: media.KindEnd}},
	{"ertmp-audio-reserved", media.TypeAudio, "\x93Opus", Info{Codec: media.CodecOpus, Kind: media.KindData}},
	{"ertmp-audio-multitrack", media.TypeAudio, "\x95\x01Opus\x02raw", Info{Codec: media.CodecOpus, Kind: media.KindAudio, Track: 2, Payload: []byte("raw")}},
	{"ertmp-audio-modex", media.TypeAudio, "\x97\x02\x00\x00\x09\x01Opusraw", Info{Codec: media.CodecOpus, Kind: media.KindAudio, Nano: 9, Payload: []byte("raw")}},

	{"data", media.TypeData, "amf", Info{Kind: media.KindData, Payload: []byte("amf")}},
}

func TestDescribe(t *testing.T) {
	for _, c := range describeCases {
		t.Run(c.name, func(t *testing.T) {
			got, err := Describe(c.typ, []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Payload, c.want.Payload) {
				t.Errorf("payload %q, want %q", got.Payload, c.want.Payload)
			}
			got.Payload, c.want.Payload = nil, nil
			if got.Codec != c.want.Codec || got.Kind != c.want.Kind || got.Track != c.want.Track || got.CTO != c.want.CTO ||
				got.Nano != c.want.Nano || got.Rate != c.want.Rate || got.Channels != c.want.Channels {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestDescribeMalformed(t *testing.T) {
	for _, c := range []struct {
		name string
		typ  media.Type
		body string
		text string
	}{
		{"video-empty", media.TypeVideo, "", "flv: malformed: video header needs 1 bytes, has 0: "},
		{"audio-empty", media.TypeAudio, "", "flv: malformed: audio header needs 1 bytes, has 0: "},
		{"avc-1-byte", media.TypeVideo, "\x17", "flv: malformed: AVC packet header needs 5 bytes, has 1: 17"},
		{"avc-4-bytes", media.TypeVideo, "\x17\x01\x00\x00", "flv: malformed: AVC packet header needs 5 bytes, has 4: 17 01 00 00"},
		{"avc-packet-type", media.TypeVideo, "\x17\x03\x00\x00\x00", "flv: malformed: AVC packet type 3 is not 0..2: 17 03 00 00 00"},
		{"frame-type", media.TypeVideo, "\x07\x01\x00\x00\x00", "flv: malformed: video frame type 0 is not 1..5: 07 01 00 00 00"},
		{"frame-type-h263", media.TypeVideo, "\x72x", "flv: malformed: video frame type 7 is not 1..5: 72 78"},
		{"aac-1-byte", media.TypeAudio, "\xaf", "flv: malformed: AAC packet header needs 2 bytes, has 1: af"},
		{"aac-packet-type", media.TypeAudio, "\xaf\x02", "flv: malformed: AAC packet type 2 is not 0 or 1: af 02"},
		{"fourcc", media.TypeVideo, "\x91hv", "flv: malformed: FourCC needs 5 bytes, has 3: 91 68 76"},
		{"cts", media.TypeVideo, "\x91hvc1\x00\x00", "flv: malformed: composition time needs 8 bytes, has 7: 91 68 76 63 31 00 00"},
		{"ex-frame-type", media.TypeVideo, "\x81hvc1\x00\x00\x00", "flv: malformed: video frame type 0 is not 1..5: 81 68 76 63 31 00 00 00"},
		{"modex-size", media.TypeVideo, "\x97", "flv: malformed: ModEx size needs 2 bytes, has 1: 97"},
		{"modex-size-16", media.TypeVideo, "\x97\xff\x01", "flv: malformed: ModEx size needs 4 bytes, has 3: 97 ff 01"},
		{"modex-data", media.TypeVideo, "\x97\x02\x00\x00\x00", "flv: malformed: ModEx data needs 6 bytes, has 5: 97 02 00 00 00"},
		{"multitrack-header", media.TypeVideo, "\x96", "flv: malformed: multitrack header needs 2 bytes, has 1: 96"},
		{"multitrack-nested", media.TypeVideo, "\x96\x06hvc1", "flv: malformed: multitrack type 0 around packet type 6: 96 06 68 76 63 31"},
		{"multitrack-type", media.TypeVideo, "\x96\x31hvc1", "flv: malformed: multitrack type 3 around packet type 1: 96 31 68 76 63 31"},
		{"track-id", media.TypeVideo, "\x96\x01hvc1", "flv: malformed: track id needs 7 bytes, has 6: 96 01 68 76 63 31"},
		{"track-size", media.TypeVideo, "\x96\x11hvc1\x00\x00", "flv: malformed: track size needs 10 bytes, has 8: 96 11 68 76 63 31 00 00"},
		{"track", media.TypeVideo, "\x96\x10hvc1\x00\x00\x00\x02x", "flv: malformed: track needs 12 bytes, has 11: 96 10 68 76 63 31 00 00 00 02 78"},
		{"audio-fourcc", media.TypeAudio, "\x91Op", "flv: malformed: FourCC needs 5 bytes, has 3: 91 4f 70"},
		{"audio-modex", media.TypeAudio, "\x97\x00", "flv: malformed: ModEx data needs 4 bytes, has 2: 97 00"},
		{"type", 7, "x", "flv: malformed: tag type 7 is not audio, video or data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			info, err := Describe(c.typ, []byte(c.body))
			if !errors.Is(err, ErrMalformed) || err.Error() != c.text {
				t.Errorf("got %+v, error %v, want %q", info, err, c.text)
			}
		})
	}
}

func TestDescribeAllocs(t *testing.T) {
	body := []byte("\x96\x01avc1\x03\x00\x00\x02nal")
	if n := testing.AllocsPerRun(100, func() { _, _ = Describe(media.TypeVideo, body) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// readTracks checks what Tracks gives against what Describe gave.
func readTracks(t *testing.T, typ media.Type, body []byte, first Info, fault error) {
	t.Helper()
	n, last := 0, error(nil)
	var all FourCCs
	for i, err := range Tracks(typ, body) {
		if n++; n == 1 && ((err == nil) != (fault == nil) || err == nil && (i.Track != first.Track || i.Codec != first.Codec)) {
			t.Fatalf("the first track is %+v, %v, and not %+v, %v", i, err, first, fault)
		}
		if last != nil {
			t.Fatal("a track behind an error")
		}
		if last = err; err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v of no kind", err)
			}
			continue
		}
		all |= i.fourCCs()
		if i.FourCC == [4]byte{} || i.Kind != media.KindConfig && !i.Beside {
			continue
		}
		one, err := Describe(typ, AppendOneTrack(nil, typ, i))
		if err != nil || one.Track != i.Track || one.Codec != i.Codec || one.Kind != i.Kind || one.Beside != i.Beside ||
			!bytes.Equal(one.Payload, i.Payload) {
			t.Fatalf("%+v by itself is %+v, %v", i, one, err)
		}
	}
	if got := FourCCsOf(typ, body); got != all {
		t.Fatalf("needs %v, the tracks have %v", got, all)
	}
}

func FuzzDescribe(f *testing.F) {
	for _, c := range describeCases {
		f.Add(byte(c.typ), []byte(c.body))
	}
	f.Fuzz(func(t *testing.T, typ byte, body []byte) {
		info, err := Describe(media.Type(typ), body)
		if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("error %v of no kind", err)
		}
		if err == nil && !bytes.Contains(body, info.Payload) {
			t.Fatalf("payload % x is not in % x", info.Payload, body)
		}
		readTracks(t, media.Type(typ), body, info, err)
	})
}
