package mpegts_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/mpegts"
)

// frame is one audio or video frame of a source, times in ms.
type frame struct {
	typ      media.Type
	dts, pts int64
	key      bool
	payload  []byte
}

// source is a stream as a publisher would push it.
type source struct {
	cfg    mpegts.Config
	frames []frame
}

// tool runs a program that the tests cannot do without.
func tool(t *testing.T, stdin []byte, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return out.String()
}

// encoded keeps what ffmpeg made, by its arguments.
var encoded = map[string]source{}

// encode makes a source with ffmpeg. Its frames are the caller's, their payloads are not.
func encode(t *testing.T, args string) source {
	t.Helper()
	s, ok := encoded[args]
	if !ok {
		s = encodeNow(t, args)
		encoded[args] = s
	}
	s.frames = slices.Clone(s.frames)
	return s
}

func encodeNow(t *testing.T, args string) source {
	t.Helper()
	all := append([]string{"-v", "error", "-nostdin", "-fflags", "+bitexact", "-threads", "1"}, strings.Fields(args)...)
	return readFLV(t, []byte(tool(t, nil, "ffmpeg", append(all, "-f", "flv", "-")...)))
}

// readFLV turns a file into a source, with the project's own parser.
func readFLV(t *testing.T, b []byte) source {
	t.Helper()
	var s source
	_, n, err := flv.ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	for b = b[n:]; len(b) > 0; b = b[n:] {
		var tag flv.Tag
		if tag, n, err = flv.ParseTag(b); err != nil {
			t.Fatal(err)
		}
		s.add(t, tag)
	}
	return s
}

func (s *source) add(t *testing.T, tag flv.Tag) {
	t.Helper()
	info, err := flv.Describe(tag.Type, tag.Body)
	if err != nil {
		t.Fatal(err)
	}
	track := &s.cfg.Video
	if tag.Type == media.TypeAudio {
		track = &s.cfg.Audio
	}
	switch info.Kind {
	case media.KindConfig:
		*track = mpegts.Track{Codec: info.Codec, Config: info.Payload}
	case media.KindKey, media.KindDelta, media.KindAudio:
		if info.Codec == media.CodecMP3 && track.Codec == media.CodecUnknown {
			*track = mpegts.Track{Codec: info.Codec, Config: info.Payload}
		}
		s.frames = append(s.frames, frame{
			typ: tag.Type, dts: int64(tag.Timestamp), pts: int64(tag.Timestamp) + int64(info.CTO),
			key: info.Kind == media.KindKey, payload: info.Payload,
		})
	default:
	}
}

// only keeps one type.
func (s source) only(typ media.Type) source {
	out := source{cfg: s.cfg}
	if typ == media.TypeAudio {
		out.cfg.Video = mpegts.Track{}
	} else {
		out.cfg.Audio = mpegts.Track{}
	}
	for _, f := range s.frames {
		if f.typ == typ {
			out.frames = append(out.frames, f)
		}
	}
	return out
}

// write puts one frame into the muxer.
func write(t *testing.T, m *mpegts.Muxer, dst []byte, f frame) []byte {
	t.Helper()
	var err error
	if f.typ == media.TypeVideo {
		dst, err = m.WriteVideo(dst, f.pts*mpegts.TicksPerMS, f.dts*mpegts.TicksPerMS, f.payload, f.key)
	} else {
		dst, err = m.WriteAudio(dst, f.pts*mpegts.TicksPerMS, f.payload)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dst
}

// mux makes segments that are cut at each keyframe, at each second of audio only.
func mux(t *testing.T, s source) [][]byte {
	t.Helper()
	m, err := mpegts.NewMuxer(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return muxInto(t, m, s)
}

func muxInto(t *testing.T, m *mpegts.Muxer, s source) [][]byte {
	t.Helper()
	audioOnly := s.cfg.Video.Codec == media.CodecUnknown
	segments := [][]byte{m.WriteTables(nil)}
	cutAt := s.frames[0].dts
	for i, f := range s.frames {
		cut := f.key
		if audioOnly {
			cut = f.dts >= cutAt+1000
		}
		if cut && i > 0 {
			end := len(segments) - 1
			segments[end] = m.Flush(segments[end])
			segments = append(segments, m.WriteTables(nil))
			cutAt = f.dts
		}
		end := len(segments) - 1
		segments[end] = write(t, m, segments[end], f)
	}
	end := len(segments) - 1
	segments[end] = m.Flush(segments[end])
	return segments
}

// save writes segments to one file.
func save(t *testing.T, segments ...[]byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "out.ts")
	if err := os.WriteFile(name, bytes.Join(segments, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// The sources that most tests share.
const (
	argsAV = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=5 -f lavfi -i sine=440:sample_rate=44100:duration=5 " +
		"-c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p -c:a aac -b:a 96k"
	argsMP3 = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 -f lavfi -i sine=440:sample_rate=44100:duration=2 " +
		"-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a libmp3lame -ar 44100"
	argsMP3Low = "-f lavfi -i sine=440:sample_rate=22050:duration=2 -c:a libmp3lame -ar 22050"
	argsLowFPS = "-f lavfi -i testsrc2=size=320x180:rate=5:duration=10 -c:v libx264 -preset ultrafast -g 10 -pix_fmt yuv420p"
)
