package pipeline

import (
	"slices"
	"strings"
	"testing"

	"tmms/media"
	"tmms/media/hls"
)

var opusHead = append([]byte("\x90Opus"), "OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"...)

// opus plays video as av does, with Opus in packets of 20 ms.
func (r *rig) opus(from, to media.Timestamp) {
	r.t.Helper()
	for dts := from; dts < to; dts += 40 {
		r.video(dts, (dts-from)%1000 == 0)
		for i := range media.Timestamp(2) {
			r.must(r.write(media.TypeAudio, dts+5+20*i, append([]byte("\x91Opus\xfc"), make([]byte, 60)...)))
		}
	}
}

// formats tells of each segment in what it is.
func (r *rig) formats() (all []string) {
	for _, s := range r.all {
		f := ""
		if s.TS != nil {
			f += "ts"
		}
		if s.MP4 != nil {
			f += "mp4"
		}
		all = append(all, f)
	}
	return all
}

// Requirement: S18 (a codec that HLS does not have in MPEG-TS: from then on there
// is fragmented MP4, and what was published stays). Case codec-change.
func TestFormats(t *testing.T) {
	play := func(t *testing.T, mode func(*Config)) *rig {
		t.Helper()
		r := newRig(t, wide, mode)
		r.headers()
		r.av(0, 4000, 40, 1000, true)
		r.must(r.write(media.TypeAudio, 4000, opusHead))
		r.opus(4000, 8000)
		r.audioHeader(aac44)
		r.av(8000, 12_001, 40, 1000, true)
		r.wantMarked(2, 4)
		r.wantDependent()
		return r
	}
	t.Run("segments", func(t *testing.T) {
		r := play(t, func(*Config) {})
		if got, want := r.formats(), []string{"ts", "ts", "mp4", "mp4", "mp4", "mp4"}; !slices.Equal(got, want) {
			t.Fatalf("segments in %v, want %v", got, want)
		}
		for i, s := range r.all[2:] {
			if want := uint32(1 + i/2); s.Init != want || s.Parts != nil || len(s.MP4.Chunks) != 2 {
				t.Errorf("segment %d: version %d, %d parts, %d fragments; want version %d, no part, a fragment a second",
					i+2, s.Init, len(s.Parts), len(s.MP4.Chunks), want)
			}
		}
		list := string(r.last().AppendMedia(nil, ""))
		if strings.Count(list, "#EXT-X-MAP") != 2 || !strings.Contains(list, "#EXT-X-VERSION:6\n") {
			t.Errorf("got\n%s", list)
		}
		if testing.Short() {
			return
		}
		r.judgePlaylists(30)
	})
	t.Run("low-latency", func(t *testing.T) {
		r := play(t, lowLatency)
		if got, want := r.formats(), []string{"tsmp4", "tsmp4", "mp4", "mp4", "mp4", "mp4"}; !slices.Equal(got, want) {
			t.Fatalf("segments in %v, want %v", got, want)
		}
		if v := r.last().Variant; v.AudioCodec != "mp4a.40.2" || v.PeakBPS == 0 {
			t.Errorf("variant %+v", v)
		}
	})
	t.Run("the other header comes after the keyframe", func(t *testing.T) {
		eachMode(t, func(t *testing.T, mode func(*Config)) {
			t.Helper()
			r := newRig(t, mode)
			r.headers()
			r.av(0, 4000, 40, 1000, true)
			r.videoHeader(avc360)
			r.video(4000, true)
			r.must(r.write(media.TypeAudio, 4000, opusHead))
			r.opus(4040, 9041)
			r.wantMarked(2)
			if s := r.all[3]; s.TS != nil || s.MP4 == nil {
				t.Errorf("segment %+v", s)
			}
		})
	})
}

// Initialization sections are there as long as a segment needs them, and there is
// a new one only for another configuration.
func TestInits(t *testing.T) {
	r := newRig(t, lowLatency)
	r.headers()
	for i := range media.Timestamp(20) {
		if i == 5 {
			r.videoHeader(avc360)
		}
		r.videoHeader([][]byte{avc240, avc360}[min(i/5, 1)]) // repeated-headers
		r.av(i*2000, (i+1)*2000, 40, 1000, true)
	}
	x := r.last()
	if len(x.Inits) != 1 || x.Inits[0].Version != 2 || len(r.p.list.entries) < 12 {
		t.Errorf("at the end there are %d, of %d segments", len(x.Inits), len(r.p.list.entries))
	}
	both := slices.ContainsFunc(r.indexes, func(x *hls.Index) bool { return len(x.Inits) == 2 })
	if !both {
		t.Error("both were never there together")
	}
}

// Requirement: S12 (random streams, before a strict parser).
func TestRandomPlaylistsAreValid(t *testing.T) {
	if testing.Short() {
		t.Skip("runs hls-parser: not in a short run")
	}
	for seed := range uint64(8) {
		p := newPublisher(t, seed, lowLatency)
		for range 1500 {
			p.turn(false)
		}
		p.p.End()
		p.judgePlaylists(60)
	}
}
