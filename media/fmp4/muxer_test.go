package fmp4_test

import (
	"bytes"
	"slices"
	"testing"

	"tmms/media"
	"tmms/media/fmp4"
)

// Parts of sources.
const (
	picture = "-f lavfi -i testsrc2=size=160x96:rate=25:duration=2 "
	sound   = "-f lavfi -i sine=440:sample_rate=48000:duration=2 "
	low     = "-f lavfi -i sine=440:sample_rate=22050:duration=2 "
	wide    = "-f lavfi -i sine=440:sample_rate=48000:duration=2,aformat=channel_layouts=5.1 "
	x264    = "-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p "
	x264B   = "-c:v libx264 -preset veryfast -bf 2 -g 25 -pix_fmt yuv420p "
)

// combinations are the streams that are muxed, with what must be found of them.
var combinations = []struct {
	name, args string
	only       media.Type
	codecs     []string
	info       fmp4.Info
	entries    []string // as mp4box names them
}{
	{
		name: "h264+aac", args: picture + sound + x264 + "-c:a aac",
		codecs: []string{"audio aac", "video h264"},
		info:   fmp4.Info{VideoCodec: "avc1.42c00b", AudioCodec: "mp4a.40.2", Width: 160, Height: 96, FrameRate: 25},
	},
	{
		name: "h264+aac-b-frames", args: picture + sound + x264B + "-c:a aac -ar 44100",
		codecs: []string{"audio aac", "video h264"},
		info:   fmp4.Info{VideoCodec: "avc1.64000b", AudioCodec: "mp4a.40.2", Width: 160, Height: 96, FrameRate: 25},
	},
}

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
			for _, part := range []int64{0, 200} {
				out := mux(t, src, part)
				if len(out.segments) < 2 {
					t.Fatalf("%d segments", len(out.segments))
				}
				f := demux(t, out.init, out.segments...)
				sameAsSource(t, src, f)
				name := save(t, out.init, bytes.Join(out.segments, nil))
				p := probe(t, name)
				if got := p.codecs(); !slices.Equal(got, c.codecs) {
					t.Errorf("ffprobe shows %v, want %v", got, c.codecs)
				}
				sameAsProbed(t, src, p)
				if !testing.Short() { // it needs what "make deps" installs
					sameAsJudged(t, f, mp4box(t, name))
				}
			}
			eachAlone(t, src)
		})
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
