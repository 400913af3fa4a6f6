package fmp4_test

import (
	"bytes"
	"slices"
	"testing"

	"tmms/media"
	"tmms/media/fmp4"
	"tmms/media/mpegts"
)

// Parts of sources.
const (
	picture = "-f lavfi -i testsrc2=size=160x96:rate=25:duration=2 "
	sound   = "-f lavfi -i sine=440:sample_rate=48000:duration=2 "
	low     = "-f lavfi -i sine=440:sample_rate=22050:duration=2 "
	wide    = "-f lavfi -i sine=440:sample_rate=48000:duration=2,aformat=channel_layouts=5.1 "
	x264    = "-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p "
	x265    = "-c:v libx265 -preset ultrafast -x265-params log-level=error:keyint=25 -tag:v hvc1 -pix_fmt yuv420p "
	x264B   = "-c:v libx264 -preset veryfast -bf 2 -g 25 -pix_fmt yuv420p "
)

// combinations are the streams that are muxed, with what must be found of them.
var combinations = []struct {
	name, args string
	only       media.Type
	codecs     []string
	info       fmp4.Info
}{
	{
		name: "h264+aac", args: picture + sound + x264 + "-c:a aac",
		codecs: []string{"audio aac", "video h264"},
		info:   fmp4.Info{VideoCodec: "avc1.42c00b", AudioCodec: "mp4a.40.2", Width: 160, Height: 96, FrameRate: 25},
	},
	{
		name: "b-frames", args: picture + sound + x264B + "-c:a aac -ar 44100",
		codecs: []string{"audio aac", "video h264"},
		info:   fmp4.Info{VideoCodec: "avc1.64000b", AudioCodec: "mp4a.40.2", Width: 160, Height: 96, FrameRate: 25},
	},
	{
		name: "h264+mp3", args: picture + sound + x264 + "-c:a libmp3lame",
		codecs: []string{"audio mp3", "video h264"},
		info:   fmp4.Info{VideoCodec: "avc1.42c00b", AudioCodec: "mp4a.40.34", Width: 160, Height: 96, FrameRate: 25},
	},
	{
		name: "h264+mp3-22050", args: picture + low + x264 + "-c:a libmp3lame",
		codecs: []string{"audio mp3", "video h264"},
		info:   fmp4.Info{VideoCodec: "avc1.42c00b", AudioCodec: "mp4a.40.34", Width: 160, Height: 96, FrameRate: 25},
	},
	{
		name: "hevc+aac", args: picture + sound + x265 + "-c:a aac",
		codecs: []string{"audio aac", "video hevc"},
		info:   fmp4.Info{VideoCodec: "hvc1.1.6.L30.90", AudioCodec: "mp4a.40.2", Width: 160, Height: 96, FrameRate: 25},
	},
	{
		name: "av1+opus", args: picture + sound + "-c:v libsvtav1 -preset 10 -g 25 -pix_fmt yuv420p -c:a libopus",
		codecs: []string{"audio opus", "video av1"},
		info:   fmp4.Info{VideoCodec: "av01.0.00M.08", AudioCodec: "opus", Width: 160, Height: 96},
	},
	{
		name: "av1-aom", args: picture + "-c:v libaom-av1 -cpu-used 8 -usage realtime -g 25 -pix_fmt yuv420p",
		codecs: []string{"video av1"},
		info:   fmp4.Info{VideoCodec: "av01.0.00M.08", Width: 160, Height: 96},
	},
	{
		name: "vp9+opus", args: picture + sound + "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -pix_fmt yuv420p -c:a libopus",
		codecs: []string{"audio opus", "video vp9"},
		info:   fmp4.Info{VideoCodec: "vp09.00.10.08", AudioCodec: "opus", Width: 160, Height: 96},
	},
	{
		name: "h264+ac3", args: picture + wide + x264 + "-c:a ac3",
		codecs: []string{"audio ac3", "video h264"},
		info:   fmp4.Info{VideoCodec: "avc1.42c00b", AudioCodec: "ac-3", Width: 160, Height: 96, FrameRate: 25},
	},
	{
		name: "h264+eac3", args: picture + wide + x264 + "-c:a eac3",
		codecs: []string{"audio eac3", "video h264"},
		info:   fmp4.Info{VideoCodec: "avc1.42c00b", AudioCodec: "ec-3", Width: 160, Height: 96, FrameRate: 25},
	},
	{
		name: "h264+flac", args: picture + sound + x264 + "-c:a flac",
		codecs: []string{"audio flac", "video h264"},
		info:   fmp4.Info{VideoCodec: "avc1.42c00b", AudioCodec: "fLaC", Width: 160, Height: 96, FrameRate: 25},
	},
	{
		name: "flac-96000-24", args: sound + "-ar 96000 -c:a flac -sample_fmt s32",
		codecs: []string{"audio flac"}, info: fmp4.Info{AudioCodec: "fLaC"},
	},
	{
		name: "opus-5.1", args: wide + "-c:a libopus -mapping_family 1",
		codecs: []string{"audio opus"}, info: fmp4.Info{AudioCodec: "opus"},
	},
	{
		name: "audio-only", args: picture + sound + x264 + "-c:a aac", only: media.TypeAudio,
		codecs: []string{"audio aac"}, info: fmp4.Info{AudioCodec: "mp4a.40.2"},
	},
	{
		name: "video-only", args: picture + sound + x264 + "-c:a aac", only: media.TypeVideo,
		codecs: []string{"video h264"},
		info:   fmp4.Info{VideoCodec: "avc1.42c00b", Width: 160, Height: 96, FrameRate: 25},
	},
}

// A track that is checked for MPEG-TS converts.
var _ = fmp4.Track(mpegts.Track{})

// Requirement: S12, S13, S16: every codec that can be carried comes out as it was
// pushed: for the own reader, for mp4box, and for ffprobe, which decodes it.
func TestCodecs(t *testing.T) {
	for _, c := range combinations {
		t.Run(c.name, func(t *testing.T) {
			src := encode(t, c.args)
			if c.only != 0 {
				src = src.only(c.only)
			}
			if got := fmp4.Describe(src.cfg); got != c.info {
				t.Errorf("described as %+v, want %+v", got, c.info)
			}
			parts := []int64{0, 200}
			if testing.Short() {
				parts = parts[1:]
			}
			for _, part := range parts {
				judged(t, src, part, c.codecs)
			}
			if !testing.Short() {
				eachAlone(t, src)
			}
		})
	}
}

// Fragments of one frame each, of whatever there is.
func TestOneFrame(t *testing.T) {
	for _, c := range combinations[:2] {
		judged(t, encode(t, c.args), 1, c.codecs)
	}
}

// judged muxes a source and asks each judge whether it has come out.
func judged(t *testing.T, src source, part int64, codecs []string) {
	t.Helper()
	out := mux(t, src, part)
	if len(out.segments) < 2 {
		t.Fatalf("%d segments", len(out.segments))
	}
	f := demux(t, out.init, out.segments...)
	sameAsSource(t, src, f)
	name := save(t, out.init, bytes.Join(out.segments, nil))
	p := probe(t, name)
	if got := p.codecs(); !slices.Equal(got, codecs) {
		t.Errorf("ffprobe shows %v, want %v", got, codecs)
	}
	sameAsProbed(t, src, p)
	if !testing.Short() { // it needs what "make deps" installs
		sameAsJudged(t, f, fmp4.Describe(src.cfg), mp4box(t, name))
	}
}

// eachAlone wants every segment to play behind the beginning, without those
// before it.
func eachAlone(t *testing.T, src source) {
	t.Helper()
	out := mux(t, src, 0)
	for i, seg := range out.segments {
		f := demux(t, out.init, seg)
		p := probe(t, save(t, out.init, seg))
		for id, typ := range map[int64]string{1: "video", 2: "audio"} {
			if tr := f.tracks[id]; tr != nil && p.count(typ) != len(tr.samples) {
				t.Errorf("segment %d alone: %d frames of %s decode, want %d", i, p.count(typ), typ, len(tr.samples))
			}
		}
	}
}
