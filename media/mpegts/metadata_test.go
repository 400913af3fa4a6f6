package mpegts_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"tmms/media/id3"
	"tmms/media/mpegts"
)

// ID3 tags have a track of their own from a cut on; what Apple's "Timed Metadata
// for HTTP Live Streaming" wants in the PMT is there, and the times are right.
func TestMetadata(t *testing.T) {
	src := encode(t, argsAV)
	m, err := mpegts.NewMuxer(src.cfg)
	if err != nil {
		t.Fatal(err)
	}
	tags := map[int64][]byte{}
	var segments [][]byte
	last := 0
	for _, f := range src.frames {
		if f.key {
			if last = len(segments); last > 0 {
				segments[last-1] = m.Flush(segments[last-1])
				m.SetMetadata(true)
			}
			segments = append(segments, m.WriteTables(nil))
		}
		segments[last] = write(t, m, segments[last], f)
		if f.key && last > 0 {
			tag := id3.AppendTXXX(nil, "onCuePoint", strings.Repeat("x", 200*last))
			tags[wire(f.dts+20)] = tag
			if segments[last], err = m.WriteMetadata(segments[last], (f.dts+20)*mpegts.TicksPerMS, tag); err != nil {
				t.Fatal(err)
			}
		}
	}
	segments[last] = m.Flush(segments[last])
	file := save(t, segments...)
	s := judge(t, bytes.Join(segments, nil))
	if got := infos(s.pmts[0]); !slices.Equal(got, []esInfo{isH264, isAAC}) {
		t.Errorf("before the first tag the PMT says %v", got)
	}
	pmt := s.pmts[len(s.pmts)-1]
	isID3 := esInfo{0x15, "26:ffff49443320ff49443320000f"}
	if got := infos(pmt); !slices.Equal(got, []esInfo{isH264, isAAC, isID3}) {
		t.Errorf("the PMT says %v", got)
	}
	if d := pmt.ProgramDescriptors; len(d) != 1 || d[0].Tag != 0x25 || d[0].Unknown == nil ||
		!bytes.Equal(d[0].Unknown.Content, []byte("\xff\xffID3 \xffID3 \x00\x1f\x00\x01")) {
		t.Errorf("program descriptors %+v", d)
	}
	if len(tags) != 4 || len(s.units[pidMetadata]) != len(tags) {
		t.Fatalf("%d tags came out, want %d", len(s.units[pidMetadata]), len(tags))
	}
	for _, u := range s.units[pidMetadata] {
		if !bytes.Equal(u.data, tags[u.pts]) {
			t.Errorf("at %d there are %d bytes, want %d", u.pts, len(u.data), len(tags[u.pts]))
		}
	}
	if v := m.Counters().Version; v != 1 {
		t.Errorf("version %d, want 1", v)
	}
	flawless(t, file)
	for i, seg := range segments[1:] {
		name := save(t, seg)
		if got := shows(t, name); !slices.Equal(got, []string{"aac audio", "h264 video", "timed_id3 data"}) {
			t.Errorf("segment %d alone shows %v", i+1, got)
		}
		decodes(t, name)
	}
	decodes(t, file)
}

// shows lists what ffprobe finds without decoding it: it has no decoder for tags.
func shows(t *testing.T, file string) []string {
	t.Helper()
	var p probed
	out := tool(t, nil, "ffprobe", "-v", "error", "-show_streams", "-of", "json", file)
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatal(err)
	}
	return p.codecs()
}

// decodes wants ffmpeg to decode pictures and sound without a word.
func decodes(t *testing.T, file string) {
	t.Helper()
	out := tool(t, nil, "sh", "-c", `ffmpeg -v warning -nostdin -xerror -i "$1" -map 0:v -map 0:a -f null - 2>&1`, "sh", file)
	if out != "" {
		t.Errorf("ffmpeg says %.300q", out)
	}
}

func TestMetadataRefused(t *testing.T) {
	m, err := mpegts.NewMuxer(encode(t, argsMP3).cfg)
	if err != nil {
		t.Fatal(err)
	}
	tag := id3.AppendTXXX(nil, "a", "b")
	if b, err := m.WriteMetadata(nil, 0, tag); !errors.Is(err, mpegts.ErrNoTrack) || len(b) > 0 {
		t.Errorf("without a track: %d bytes, %v", len(b), err)
	}
	m.SetMetadata(true)
	if b, err := m.WriteMetadata(nil, 0, make([]byte, 1<<16)); !errors.Is(err, mpegts.ErrUnsupported) || len(b) > 0 {
		t.Errorf("64 KiB: %d bytes, %v", len(b), err)
	}
	if b, err := m.WriteMetadata(nil, 0, nil); err != nil || len(b) > 0 {
		t.Errorf("an empty tag: %d bytes, %v", len(b), err)
	}
	if b, err := m.WriteMetadata(nil, 0, tag); err != nil || len(b) != 188 {
		t.Errorf("a tag: %d bytes, %v", len(b), err)
	}
}
