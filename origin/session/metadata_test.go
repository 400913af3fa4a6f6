package session

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/flv"
)

// onMetaDataOf is a data body of names and values.
func onMetaDataOf(pairs ...any) string {
	var props []amf0.Property
	for i := 0; i < len(pairs); i += 2 {
		p := amf0.Property{Name: fmt.Sprint(pairs[i])}
		switch v := pairs[i+1].(type) {
		case string:
			p.Value = amf0.String(v)
		case int:
			p.Value = amf0.Number(float64(v))
		case amf0.Value:
			p.Value = v
		}
		props = append(props, p)
	}
	return string(amf0.AppendECMAArray(amf0.AppendString(nil, "onMetaData"), props...))
}

// metaText is metadata as key=value; a codec with a FourCC by its name.
func metaText(t *testing.T, body []byte) string {
	t.Helper()
	md, ok, err := flv.ParseMetadata(body)
	if err != nil || !ok {
		t.Fatalf("metadata %q: %v", body, err)
	}
	var text []string
	for _, p := range md.Props {
		v := p.Value.Str
		if p.Value.Kind != amf0.KindString {
			v = fmt.Sprint(p.Value.Num)
			if p.Value.Num > 1<<24 {
				v = string(binary.BigEndian.AppendUint32(nil, uint32(p.Value.Num)))
			}
		}
		text = append(text, p.Name+"="+v)
	}
	return strings.Join(text, " ")
}

// Values that mean something else in another message, or to others, are left out.
func TestSelfContained(t *testing.T) {
	for _, tt := range []struct {
		v    amf0.Value
		want bool
	}{
		{amf0.Number(1), true},
		{amf0.Null(), true},
		{amf0.Object(amf0.Property{Name: "a", Value: amf0.StrictArray(amf0.String("b"))}), true},
		{amf0.Value{Kind: amf0.KindReference, Num: 1}, false},
		{amf0.Object(amf0.Property{Name: "a", Value: amf0.StrictArray(amf0.Value{Kind: amf0.KindReference})}), false},
		{amf0.Value{Kind: amf0.KindUnsupported}, false},
	} {
		if got := selfContained(tt.v); got != tt.want {
			t.Errorf("%+v: %v", tt.v, got)
		}
	}
}

// Whatever a publisher says of itself, what viewers are told can be read, is
// bounded, and is the same again for the same words.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(onMetaData))
	f.Add([]byte(onMetaDataOf("width", 1, "width", 2, "a", amf0.Object(amf0.Property{Name: "b", Value: amf0.Null()}))))
	f.Add([]byte(onMetaDataOf("server", "me", "stereo", 1, "audiochannels", 6, "", "")))
	f.Fuzz(func(t *testing.T, in []byte) {
		md, ok, err := flv.ParseMetadata(in)
		if err != nil || !ok || len(in) > media.MaxMessageData {
			return
		}
		var m metadata
		var tracks Tracks
		tracks.metadata(&md)
		tracks.Audio = AudioTrack{Codec: media.CodecOpus, ID: 0x4F707573, Rate: 48000, Channels: 6, seen: true}
		m.publish(&md)
		body := m.body(&tracks)
		got, ok, err := flv.ParseMetadata(body)
		if err != nil || !ok || got.AudioCodec != media.CodecOpus || got.SampleRate != 48000 {
			t.Fatalf("%q becomes %q: %+v, %v", in, body, got, err)
		}
		if len(body) > media.MaxMetadata+64 {
			t.Fatalf("%d bytes become %d", len(in), len(body))
		}
		m.publish(&got)
		if again := m.body(&tracks); string(again) != string(body) {
			t.Fatalf("%q, then %q", body, again)
		}
	})
}
