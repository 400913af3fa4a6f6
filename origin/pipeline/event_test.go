package pipeline

import (
	"bytes"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/amf0"
	"tmms/media/hls"
	"tmms/media/id3"
)

// message is the body of a data message.
func message(values ...amf0.Value) []byte {
	var b []byte
	for _, v := range values {
		b = amf0.Append(b, v)
	}
	return b
}

func TestEventText(t *testing.T) {
	for _, c := range []struct {
		values []amf0.Value
		want   string
	}{
		{nil, ""},
		{[]amf0.Value{amf0.String("as <it> is")}, "as <it> is"},
		{[]amf0.Value{amf0.Number(1e300)}, "1e+300"},
		{[]amf0.Value{amf0.Null()}, "null"},
		{[]amf0.Value{amf0.Bool(true), amf0.String("a\"b")}, `[true,"a\"b"]`},
		{[]amf0.Value{amf0.Object(
			amf0.Property{Name: "z", Value: amf0.Number(1.5)},
			amf0.Property{Name: "a", Value: amf0.StrictArray(amf0.Number(1), amf0.ECMAArray())},
		)}, `{"z":1.5,"a":[1,{}]}`},
	} {
		if got := eventText(c.values); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// Timed metadata is in both formats: an ID3 tag in MPEG-TS and in an emsg box.
func TestEvents(t *testing.T) {
	cue := amf0.Object(amf0.Property{Name: "name", Value: amf0.String("ad")})
	tag := id3.AppendTXXX(nil, "onCuePoint", `{"name":"ad"}`)
	eachMode(t, func(t *testing.T, mode func(*Config)) {
		t.Helper()
		r := newRig(t, mode)
		r.headers()
		r.must(r.write(media.TypeData, 0, message(amf0.String("onCuePoint"), cue))) // before the first segment
		r.av(0, 3000, 40, 1000, true)
		r.must(r.write(media.TypeData, 3000, message(amf0.String("@setDataFrame"), amf0.String("onCuePoint"), cue)))
		r.must(r.write(media.TypeData, 3000, message(amf0.String("onMetaData"), cue)))
		r.must(r.write(media.TypeData, 3000, message(amf0.String("|RtmpSampleAccess"), cue)))
		r.must(r.write(media.TypeData, 3000, []byte{2, 0}))
		r.av(3000, 6001, 40, 1000, true)
		for i, want := range []int{1, 1, 0} {
			s := r.all[i]
			if got := bytes.Count(bytesOf(s), tag); got != want {
				t.Errorf("segment %d: %d tags in MPEG-TS, want %d", i, got, want)
			}
			if s.MP4 == nil {
				continue
			}
			if got := events(t, s, tag); got != want {
				t.Errorf("segment %d: %d tags in emsg boxes, want %d", i, got, want)
			}
		}
		r.wantMarked() // the track of metadata is no splice
	})
	t.Run("how many", func(t *testing.T) {
		eachMode(t, func(t *testing.T, mode func(*Config)) {
			t.Helper()
			r := newRig(t, mode)
			r.headers()
			for range media.MaxHeldMetadata + 5 {
				r.must(r.write(media.TypeData, 0, message(amf0.String("onTextData"), amf0.String("early"))))
			}
			if got := r.p.Dropped(); got != 5 {
				t.Errorf("%d dropped before there is a segment", got)
			}
			r.av(0, 1000, 40, 1000, true)
			long := amf0.String(strings.Repeat("x", media.MaxTimedMetadata/2))
			for range 100 {
				r.must(r.write(media.TypeData, 1000, message(amf0.String("onTextData"), long)))
			}
			r.must(r.write(media.TypeData, 1000, message(amf0.String("onTextData"), long, long)))
			r.av(1000, 2001, 40, 1000, true)
			if got := r.p.Dropped(); got < 5+100-2*media.MaxFragmentEvents/media.MaxTimedMetadata {
				t.Errorf("%d dropped", got)
			}
			if n := r.all[0].TS.Size; n > 2*media.MaxFragmentEvents {
				t.Errorf("a segment of %d bytes", n)
			}
		})
	})
}

// events counts the emsg boxes with the tag.
func events(t *testing.T, s *hls.Segment, tag []byte) (n int) {
	t.Helper()
	for _, c := range s.MP4.Chunks {
		walk(t, c, func(typ string, body []byte) {
			if typ == "emsg" && bytes.HasSuffix(body, tag) && bytes.Contains(body, []byte(eventScheme+"\x00\x00")) {
				n++
			}
		})
	}
	return n
}
