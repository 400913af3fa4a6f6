package mpegts_test

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/mpegts"
)

// demuxed is what ffprobe takes out of a file, as an independent demuxer.
type demuxed struct {
	Streams []struct {
		Index     int
		Type      string `json:"codec_type"`
		Codec     string `json:"codec_name"`
		Extradata string
	}
	Packets []struct {
		Stream int    `json:"stream_index"`
		PTS    string `json:"pts_time"`
		DTS    string `json:"dts_time"`
		Flags  string
		Data   string
	}
}

// encodeMP4 makes a source, as a publisher would push it, of codecs that ffmpeg
// cannot put into FLV.
func encodeMP4(t *testing.T, args string) source {
	t.Helper()
	s, ok := encoded["mp4 "+args]
	if !ok {
		file := filepath.Join(t.TempDir(), "in.mp4")
		all := append([]string{"-v", "error", "-nostdin", "-fflags", "+bitexact", "-threads", "1"}, strings.Fields(args)...)
		tool(t, nil, "ffmpeg", append(all, "-strict", "-2", "-f", "mp4", file)...)
		s = demux(t, file)
		encoded["mp4 "+args] = s
	}
	s.frames = slices.Clone(s.frames)
	return s
}

func demux(t *testing.T, file string) source {
	t.Helper()
	var d demuxed
	out := tool(t, nil, "ffprobe", "-v", "error", "-show_streams", "-show_packets", "-show_data", "-of", "json", file)
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	codecs := map[string]media.Codec{
		"h264": media.CodecH264, "hevc": media.CodecHEVC, "aac": media.CodecAAC, "mp3": media.CodecMP3,
		"ac3": media.CodecAC3, "eac3": media.CodecEAC3, "opus": media.CodecOpus,
	}
	var s source
	types := map[int]media.Type{}
	for _, st := range d.Streams {
		track := mpegts.Track{Codec: codecs[st.Codec], Config: dump(t, st.Extradata)}
		if st.Type == "video" {
			s.cfg.Video, types[st.Index] = track, media.TypeVideo
		} else {
			s.cfg.Audio, types[st.Index] = track, media.TypeAudio
		}
	}
	first := int64(0)
	for _, p := range d.Packets {
		first = min(first, milliseconds(t, p.DTS))
	}
	for _, p := range d.Packets {
		s.frames = append(s.frames, frame{
			typ: types[p.Stream], dts: milliseconds(t, p.DTS) - first, pts: milliseconds(t, p.PTS) - first,
			key: types[p.Stream] == media.TypeVideo && strings.HasPrefix(p.Flags, "K"), payload: dump(t, p.Data),
		})
	}
	slices.SortStableFunc(s.frames, func(a, b frame) int { return int(a.dts - b.dts) })
	return s
}

func milliseconds(t *testing.T, seconds string) int64 {
	t.Helper()
	f, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(math.Round(f * 1000))
}

// dump reads ffprobe's hex dump: lines of an offset, 16 bytes in pairs, and text.
func dump(t *testing.T, s string) []byte {
	t.Helper()
	var b []byte
	for line := range strings.Lines(s) {
		if len(line) < 50 {
			continue
		}
		part, err := hex.DecodeString(strings.ReplaceAll(line[10:50], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, part...)
	}
	return b
}
