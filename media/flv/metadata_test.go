package flv

import (
	"errors"
	"reflect"
	"testing"

	"tmms/media"
	"tmms/media/amf0"
)

func metadata(prefix []string, props ...amf0.Property) []byte {
	var b []byte
	for _, s := range prefix {
		b = amf0.AppendString(b, s)
	}
	return amf0.AppendECMAArray(b, props...)
}

func prop(name string, v amf0.Value) amf0.Property { return amf0.Property{Name: name, Value: v} }

func TestParseMetadata(t *testing.T) {
	set := []string{"@setDataFrame", "onMetaData"}
	full := metadata(set,
		prop("width", amf0.Number(1280)), prop("height", amf0.Number(720)), prop("framerate", amf0.Number(29.97)),
		prop("videocodecid", amf0.Number(7)), prop("videodatarate", amf0.Number(2500)),
		prop("audiocodecid", amf0.Number(10)), prop("audiodatarate", amf0.Number(160)),
		prop("audiosamplerate", amf0.Number(48000)), prop("encoder", amf0.String("x")))
	for _, c := range []struct {
		name string
		body []byte
		want Metadata
		ok   bool
	}{
		{"full", full, Metadata{
			Width: 1280, Height: 720, FrameRate: 29.97, VideoDataRate: 2500, AudioDataRate: 160,
			SampleRate: 48000, VideoCodec: media.CodecH264, AudioCodec: media.CodecAAC, HasVideo: true, HasAudio: true, Encoder: "x",
		}, true},
		{"without-setDataFrame", metadata(set[1:], prop("fps", amf0.Number(25))), Metadata{FrameRate: 25}, true},
		{
			"fourcc-number", metadata(set, prop("videocodecid", amf0.Number(0x68766331)), prop("audiocodecid", amf0.Number(0x4F707573))),
			Metadata{VideoCodec: media.CodecHEVC, AudioCodec: media.CodecOpus, HasVideo: true, HasAudio: true},
			true,
		},
		{
			"fourcc-string", metadata(set, prop("videocodecid", amf0.String("avc1")), prop("audiocodecid", amf0.String("mp4a"))),
			Metadata{VideoCodec: media.CodecH264, AudioCodec: media.CodecAAC, HasVideo: true, HasAudio: true},
			true,
		},
		{
			"audio-only", metadata(set, prop("videocodecid", amf0.Number(0)), prop("width", amf0.Number(1)), prop("audiodatarate", amf0.Number(96))),
			Metadata{Width: 1, AudioDataRate: 96, HasAudio: true},
			true,
		},
		{"wrong-kinds", metadata(set, prop("width", amf0.String("wide")), prop("videodatarate", amf0.Bool(true))), Metadata{}, true},
		{"other", metadata([]string{"onTextData"}), Metadata{}, false},
		{"nothing", nil, Metadata{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok, err := ParseMetadata(c.body)
			if ok && len(got.Props) == 0 {
				t.Error("the properties are left out")
			}
			got.Props = nil
			if err != nil || ok != c.ok || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v %v %v, want %+v %v", got, ok, err, c.want, c.ok)
			}
			if IsMetadata(c.body) != c.ok {
				t.Errorf("IsMetadata says %v, want %v", !c.ok, c.ok)
			}
		})
	}
	if _, _, err := ParseMetadata(full[:len(full)-4]); !errors.Is(err, ErrMalformed) {
		t.Errorf("cut short: error %v, want %v", err, ErrMalformed)
	}
}

func FuzzParseMetadata(f *testing.F) {
	f.Add(metadata([]string{"@setDataFrame", "onMetaData"}, prop("videocodecid", amf0.Number(7)), prop("width", amf0.Number(1))))
	f.Add(metadata([]string{"onMetaData"}, prop("audiocodecid", amf0.String("mp4a"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok, err := ParseMetadata(b); ok && err != nil {
			t.Fatalf("metadata and an error: %v", err)
		}
	})
}
