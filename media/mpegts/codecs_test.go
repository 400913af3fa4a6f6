package mpegts_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	astits "github.com/asticode/go-astits"

	"tmms/media"
	"tmms/media/ac3"
	"tmms/media/hevc"
	"tmms/media/mpegts"
	"tmms/media/opus"
)

// What ffmpeg makes of two seconds.
const (
	inVideo = "-f lavfi -i testsrc2=size=320x180:rate=25:duration=2 "
	inAudio = "-f lavfi -i anoisesrc=d=2:r=48000:a=0.1,aformat=channel_layouts=stereo "
	toH264  = "-c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p "
	toHEVC  = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p -x265-params log-level=error:pools=1:frame-threads=1:keyint=25:min-keyint=25:bframes=2:open-gop=0:no-scenecut=1 "
	toAAC   = "-c:a aac -b:a 96k"
	toMP3   = "-c:a libmp3lame -b:a 96k"
	toOpus  = "-c:a libopus -b:a 96k"
	toAC3   = "-c:a ac3 -b:a 192k"
	toEAC3  = "-c:a eac3 -b:a 128k"
)

// esInfo is what a PMT says of a stream: its type and its descriptors, by their
// tags and bytes.
type esInfo struct {
	typ         byte
	descriptors string
}

func infos(p *astits.PMTData) []esInfo {
	var all []esInfo
	for _, e := range p.ElementaryStreams {
		i := esInfo{typ: byte(e.StreamType)}
		for _, d := range e.ElementaryStreamDescriptors {
			switch {
			case d.Registration != nil:
				i.descriptors += fmt.Sprintf("%02x:%x ", d.Tag, d.Registration.FormatIdentifier)
			case d.Extension != nil && d.Extension.Unknown != nil:
				i.descriptors += fmt.Sprintf("%02x:%02x:%x ", d.Tag, d.Extension.Tag, *d.Extension.Unknown)
			case d.Unknown != nil:
				i.descriptors += fmt.Sprintf("%02x:%x ", d.Tag, d.Unknown.Content)
			default:
				i.descriptors += fmt.Sprintf("%02x ", d.Tag)
			}
		}
		i.descriptors = strings.TrimSpace(i.descriptors)
		all = append(all, i)
	}
	return all
}

// How each codec stands in the PMT, and what ffprobe calls it.
var (
	isH264 = esInfo{typ: 0x1B}
	isHEVC = esInfo{typ: 0x24}
	isAAC  = esInfo{typ: 0x0F}
	isMP3  = esInfo{typ: 0x03}
	isOpus = esInfo{0x06, "05:4f707573 7f:80:02"}
	isAC3  = esInfo{0x81, "05:41432d33"}
	isEAC3 = esInfo{0x87, "05:45414333"}
)

// Requirement: S13: every codec that MPEG-TS carries, alone and with another, is
// what go-astits, ffprobe, dvbinfo and tshark find, and each segment decodes alone.
func TestCodecs(t *testing.T) {
	for _, c := range []struct {
		name, args string
		infos      []esInfo
		codecs     []string
	}{
		{"h264+aac", inVideo + inAudio + toH264 + toAAC, []esInfo{isH264, isAAC}, []string{"aac audio", "h264 video"}},
		{"h264+mp3", inVideo + inAudio + toH264 + toMP3, []esInfo{isH264, isMP3}, []string{"h264 video", "mp3 audio"}},
		{"h264+ac3", inVideo + inAudio + toH264 + toAC3, []esInfo{isH264, isAC3}, []string{"ac3 audio", "h264 video"}},
		{"h264+eac3", inVideo + inAudio + toH264 + toEAC3, []esInfo{isH264, isEAC3}, []string{"eac3 audio", "h264 video"}},
		{"h264+opus", inVideo + inAudio + toH264 + toOpus, []esInfo{isH264, isOpus}, []string{"h264 video", "opus audio"}},
		{"hevc+aac", inVideo + inAudio + toHEVC + toAAC, []esInfo{isHEVC, isAAC}, []string{"aac audio", "hevc video"}},
		{"hevc+opus", inVideo + inAudio + toHEVC + toOpus, []esInfo{isHEVC, isOpus}, []string{"hevc video", "opus audio"}},
		{"h264", inVideo + toH264, []esInfo{isH264}, []string{"h264 video"}},
		{"hevc", inVideo + toHEVC, []esInfo{isHEVC}, []string{"hevc video"}},
		{"aac", inAudio + toAAC, []esInfo{isAAC}, []string{"aac audio"}},
		{"mp3", inAudio + toMP3, []esInfo{isMP3}, []string{"mp3 audio"}},
		{"opus", inAudio + toOpus, []esInfo{isOpus}, []string{"opus audio"}},
		{"ac3", inAudio + toAC3, []esInfo{isAC3}, []string{"ac3 audio"}},
		{"eac3", inAudio + toEAC3, []esInfo{isEAC3}, []string{"eac3 audio"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := encodeMP4(t, c.args)
			src.frames = slices.DeleteFunc(src.frames, func(f frame) bool { return f.dts >= 2000 })
			segments := mux(t, src)
			if len(segments) != 2 {
				t.Fatalf("%d segments", len(segments))
			}
			file := save(t, segments...)
			s := judge(t, bytes.Join(segments, nil))
			if got := infos(s.pmts[0]); !slices.Equal(got, c.infos) {
				t.Errorf("the PMT says %+v, want %+v", got, c.infos)
			}
			sameStreams(t, src, s)
			flawless(t, file)
			p := probe(t, file)
			sameAsProbed(t, src, p)
			if rate := p.Streams[len(p.Streams)-1].Rate; rate != "48000" && src.cfg.Audio.Codec != media.CodecUnknown {
				t.Errorf("sample rate %s, want 48000", rate)
			}
			for i, seg := range segments {
				judge(t, seg)
				name := save(t, seg)
				p := probe(t, name)
				if !slices.Equal(p.codecs(), c.codecs) {
					t.Errorf("segment %d alone shows %v, want %v", i, p.codecs(), c.codecs)
				}
				if src.cfg.Video.Codec != media.CodecUnknown && p.count("video") != 25 {
					t.Errorf("segment %d alone has %d pictures that decode, want 25", i, p.count("video"))
				}
			}
		})
	}
}

// flawless asks the judges that look at the packets.
func flawless(t *testing.T, file string) {
	t.Helper()
	if faults := continuity(t, file); len(faults) > 0 {
		t.Errorf("dvbinfo: %.300q", faults)
	}
	if faults := experts(t, file); len(faults) > 0 {
		t.Errorf("tshark: %.300q", faults)
	}
}

// sameStreams compares the elementary streams with the source, byte by byte, and
// the times of what starts a PES packet.
func sameStreams(t *testing.T, src source, s seen) {
	t.Helper()
	if v := src.only(media.TypeVideo); len(v.frames) > 0 && v.cfg.Video.Codec != media.CodecUnknown {
		units := s.units[pidVideo]
		if len(units) != len(v.frames) {
			t.Fatalf("%d pictures, want %d", len(units), len(v.frames))
		}
		for i, f := range v.frames {
			if u := units[i]; u.pts != wire(f.pts) || u.dts != wire(f.dts) {
				t.Fatalf("picture %d: PTS %d DTS %d, want %d %d", i, u.pts, u.dts, wire(f.pts), wire(f.dts))
			}
			if got, want := pictures(units[i].data), lengths(f.payload); !slices.EqualFunc(got, want, bytes.Equal) {
				t.Fatalf("picture %d: %d NAL units, want %d", i, len(got), len(want))
			}
		}
	}
	var want, got []byte
	for _, f := range src.only(media.TypeAudio).frames {
		want = append(want, f.payload...)
	}
	for _, u := range s.units[pidAudio] {
		got = append(got, raw(t, src.cfg.Audio.Codec, u.data)...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes of audio are not the %d that were pushed", len(got), len(want))
	}
}

// raw takes off what MPEG-TS puts in front of audio frames.
func raw(t *testing.T, codec media.Codec, b []byte) (out []byte) {
	t.Helper()
	for len(b) > 0 {
		head, n := 0, len(b)
		switch codec {
		case media.CodecAAC:
			head, n = 7, int(b[3]&3)<<11|int(b[4])<<3|int(b[5])>>5
		case media.CodecOpus:
			if b[0] != 0x7F || b[1] != 0xE0 {
				t.Fatalf("no control header: % x", b[:2])
			}
			for head, n = 2, 0; ; head++ {
				n += int(b[head])
				if b[head] != 255 {
					break
				}
			}
			head++
			n += head
		default:
		}
		out, b = append(out, b[head:n]...), b[n:]
	}
	return out
}

// pictures splits an Annex B access unit, and leaves out delimiters and parameter
// sets, of H.264 and of HEVC.
func pictures(b []byte) [][]byte {
	return slices.DeleteFunc(bytes.Split(b, []byte{0, 0, 0, 1})[1:], isHead)
}

// lengths does so with lengths of four bytes.
func lengths(b []byte) (nalus [][]byte) {
	for len(b) > 0 {
		n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		nalus, b = append(nalus, b[4:4+n]), b[4+n:]
	}
	return slices.DeleteFunc(nalus, isHead)
}

// isHead knows delimiters and parameter sets by the first bytes that they have in
// the streams here.
func isHead(n []byte) bool {
	switch n[0] {
	case 0x09, 0x67, 0x68: // H.264
		return true
	case 0x40, 0x42, 0x44, 0x46: // HEVC
		return n[1] == 1
	default:
		return false
	}
}

// HEVC: each keyframe opens with AUD, VPS, SPS, PPS, and is where random access is.
func TestHEVCStartsClean(t *testing.T) {
	src := encodeMP4(t, inVideo+toHEVC)
	var keys []int64
	for _, f := range src.frames {
		if f.key {
			keys = append(keys, wire(f.pts))
		}
	}
	for i := range src.frames {
		src.frames[i].key = false // the IRAP pictures are found
	}
	m, err := mpegts.NewMuxer(src.cfg)
	if err != nil {
		t.Fatal(err)
	}
	ts := m.WriteTables(nil)
	for _, f := range src.frames {
		ts = write(t, m, ts, f)
	}
	s := judge(t, ts)
	if !slices.Equal(s.random, keys) || len(keys) != 2 {
		t.Errorf("random_access_indicator at %v, want %v", s.random, keys)
	}
	for i, u := range s.units[pidVideo] {
		heads := []byte{35}
		if src.frames[i].pts == src.frames[0].pts || slices.Contains(keys, u.pts) {
			heads = []byte{35, 32, 33, 34}
		}
		var types []byte
		for _, n := range bytes.Split(u.data, []byte{0, 0, 0, 1})[1:] {
			types = append(types, n[0]>>1)
		}
		if !bytes.HasPrefix(types, heads) || bytes.Count(types, []byte{35}) != 1 {
			t.Fatalf("picture %d has NAL units % d, want % d in front", i, types, heads)
		}
	}
}

// Case codec-change: H.264 and AAC become HEVC and Opus, then AC-3 alone: each
// time the version of the PMT rises, counters and clock go on.
func TestCodecChange(t *testing.T) {
	parts := []source{
		encodeMP4(t, inVideo+inAudio+toH264+toAAC),
		encodeMP4(t, inVideo+inAudio+toHEVC+toOpus),
		encodeMP4(t, inAudio+toAC3),
	}
	m, err := mpegts.NewMuxer(parts[0].cfg)
	if err != nil {
		t.Fatal(err)
	}
	var ts []byte
	for i, p := range parts {
		if err := m.Reconfigure(p.cfg); err != nil {
			t.Fatal(err)
		}
		if v := m.Counters().Version; v != uint8(i) {
			t.Errorf("part %d has version %d", i, v)
		}
		for j := range p.frames {
			p.frames[j] = p.frames[j].shifted(int64(i) * 2200)
		}
		part := bytes.Join(muxInto(t, m, p), nil)
		sameStreams(t, p, judge(t, part))
		probe(t, save(t, part))
		ts = append(ts, part...)
	}
	s := judge(t, ts)
	if got, want := infos(s.pmts[len(s.pmts)-1]), []esInfo{isAC3}; !slices.Equal(got, want) {
		t.Errorf("at last the PMT says %v, want %v", got, want)
	}
	if faults := continuity(t, save(t, ts)); len(faults) > 0 {
		t.Errorf("dvbinfo: %.300q", faults)
	}
}

// Case ts-wrap with the other codecs: 33 bits wrap in the middle of a segment.
func TestCodecsWrap(t *testing.T) {
	for _, args := range []string{inVideo + inAudio + toHEVC + toOpus, inAudio + toAC3} {
		src := encodeMP4(t, args)
		base := (int64(1)<<33 - mpegts.TimeOffset) / mpegts.TicksPerMS
		for i := range src.frames {
			src.frames[i] = src.frames[i].shifted(base - 1400)
		}
		segments := mux(t, src)
		s := judge(t, bytes.Join(segments, nil))
		sameStreams(t, src, s)
		if first, last := s.pcrs[0], s.pcrs[len(s.pcrs)-1]; first < 1<<32 || last > 1<<32 {
			t.Errorf("PCR runs from %d to %d: it did not wrap", first, last)
		}
		flawless(t, save(t, segments...))
		for _, seg := range segments {
			probe(t, save(t, seg))
		}
	}
}

// Opus of every layout that has a channel configuration code, and of none that
// has not.
func TestOpusChannels(t *testing.T) {
	for channels, layout := range []string{1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"} {
		if channels == 0 {
			continue
		}
		t.Run(layout, func(t *testing.T) {
			in := strings.Replace(inAudio, "stereo", layout, 1)
			family := ""
			if channels > 2 {
				family = " -mapping_family 1"
			}
			src := encodeMP4(t, in+toOpus+family)
			segments := mux(t, src)
			s := judge(t, bytes.Join(segments, nil))
			want := []esInfo{{0x06, fmt.Sprintf("05:4f707573 7f:80:%02x", channels)}}
			if got := infos(s.pmts[0]); !slices.Equal(got, want) {
				t.Errorf("the PMT says %v, want %v", got, want)
			}
			sameStreams(t, src, s)
			if p := probe(t, save(t, segments...)); p.Streams[0].Channels != channels {
				t.Errorf("ffprobe says %d channels", p.Streams[0].Channels)
			}
		})
	}
	for name, c := range map[string]struct{ head, fault string }{
		"family-255": {"\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\xff\x02\x00\x00\x01", "mpegts: cannot carry Opus of 2 channels in mapping family 255, only families 0 and 1"},
		"swapped":    {"\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\x01\x01\x00", "mpegts: cannot carry Opus of 2 channels as 1 streams, 1 coupled, mapped 01 00, only as 1, 1, 00 01"},
	} {
		err := mpegts.CheckTrack(media.TypeAudio, mpegts.Track{Codec: media.CodecOpus, Config: []byte(c.head)})
		if !errors.Is(err, mpegts.ErrUnsupported) || err.Error() != c.fault {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Requirement: S18: configurations and frames that are not what they say are
// refused by name, and cost the stream nothing.
func TestCodecsMalformed(t *testing.T) {
	ac3Frame, eac3Frame := "\x0b\x77\x00\x00\x14\x40\x43", "\x0b\x77\x01\x7f\x34\x80\x00"
	opusHead := "OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"
	for _, c := range []struct {
		name   string
		track  mpegts.Track
		opens  bool
		frames map[string]bool // what is taken
		err    error
	}{
		{"hevc-config", mpegts.Track{Codec: media.CodecHEVC, Config: []byte{1, 2, 3}}, false, nil, hevc.ErrMalformed},
		{"opus-missing-config", mpegts.Track{Codec: media.CodecOpus}, false, nil, opus.ErrMalformed},
		{"opus", mpegts.Track{Codec: media.CodecOpus, Config: []byte(opusHead)}, true, map[string]bool{"\xfc\xff": true, "\x03": false, "\x1b\x03": false}, opus.ErrMalformed},
		{"ac3-is-eac3", mpegts.Track{Codec: media.CodecAC3, Config: []byte(eac3Frame)}, false, nil, ac3.ErrMalformed},
		{"eac3-is-ac3", mpegts.Track{Codec: media.CodecEAC3, Config: []byte(ac3Frame)}, false, nil, ac3.ErrMalformed},
		{"ac3", mpegts.Track{Codec: media.CodecAC3}, true, map[string]bool{ac3Frame: true, eac3Frame: false, "noise, noise": false}, ac3.ErrMalformed},
		{"eac3", mpegts.Track{Codec: media.CodecEAC3}, true, map[string]bool{ac3Frame: false, eac3Frame: true}, ac3.ErrMalformed},
	} {
		m, err := mpegts.NewMuxer(mpegts.Config{Audio: c.track})
		if c.track.Codec == media.CodecHEVC {
			m, err = mpegts.NewMuxer(mpegts.Config{Video: c.track})
		}
		if c.opens != (err == nil) || err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		for f, taken := range c.frames {
			if _, err := m.WriteAudio(nil, 0, []byte(f)); taken != (err == nil) || err != nil && !errors.Is(err, c.err) {
				t.Errorf("%s: frame % x: %v", c.name, f, err)
			}
		}
	}
}
