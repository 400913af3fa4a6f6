package session

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// checkClock checks that DTS never goes back in a track, that no step is larger
// than one frame, and that identities are in order.
func checkClock(t *testing.T, list []logged) {
	t.Helper()
	last := map[media.Type]media.Timestamp{}
	for i, e := range list {
		if i > 0 && list[i-1].ID.Compare(e.ID) >= 0 {
			t.Fatalf("packet %d has the identity %v after %v", i, e.ID, list[i-1].ID)
		}
		if e.Kind == media.KindConfig || e.Kind == media.KindData {
			continue
		}
		prev, seen := last[e.Type]
		if step := e.DTS - prev; seen && (step < 0 || step > 2*videoStep) {
			t.Fatalf("%v packet %d of run %d at %d after %d", e.Type, i, e.Run, e.DTS, prev)
		}
		last[e.Type] = e.DTS
	}
}

// offsets gives, for each run, how far the first audio frame lies behind the
// first picture.
func offsets(list []logged) map[uint32]media.Timestamp {
	first := map[media.Type]map[uint32]media.Timestamp{media.TypeAudio: {}, media.TypeVideo: {}}
	for _, e := range list {
		if e.Kind == media.KindConfig || e.Kind == media.KindData {
			continue
		}
		if _, ok := first[e.Type][e.Run]; !ok {
			first[e.Type][e.Run] = e.DTS
		}
	}
	diff := map[uint32]media.Timestamp{}
	for run, v := range first[media.TypeVideo] {
		diff[run] = first[media.TypeAudio][run] - v
	}
	return diff
}

// Requirement: S6 (the session's part: one clock over a cut and repeated push).
func TestSeam(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for _, tt := range []struct {
		name  string
		start func(run int) uint32
		runs  int
		ms    int
	}{
		{"at 0", func(int) uint32 { return 0 }, 2, 10000},
		{"at a random time", func(int) uint32 { return rng.Uint32() }, 2, 10000},
		{"ts-wrap 2^32", func(int) uint32 { return 1<<32 - 5000 }, 2, 10000},
		{"ts-wrap 2^31", func(int) uint32 { return 1<<31 - 5000 }, 2, 10000},
		{"ts-wrap 2^24", func(int) uint32 { return 1<<24 - 5000 }, 2, 10000},
		{"20 cuts", func(run int) uint32 { return uint32(run%3) * rng.Uint32() }, 21, 2000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				for run := range tt.runs {
					p, _ := g.attach(testApp(), "")
					p.publish(t, tt.start(run), tt.ms)
					p.Detach(errGone)
					time.Sleep(5 * time.Second)
				}
				list := entries(t, g.live())
				checkClock(t, list)
				for run, diff := range offsets(list) {
					if diff < -videoStep || diff > videoStep {
						t.Errorf("audio is %d ms behind video in run %d", diff, run)
					}
				}
				// No drift: each run lasts what it lasted, plus at most one frame.
				want := media.Timestamp(tt.runs * tt.ms)
				if last := g.live().LastDTS(); last < want-videoStep || last > want+media.Timestamp(tt.runs)*videoStep {
					t.Errorf("the clock stands at %d after %d runs of %d ms", last, tt.runs, tt.ms)
				}
				if e := list[len(list)-1]; e.ID.Epoch != list[0].ID.Epoch || int(e.Run) != tt.runs-1 {
					t.Errorf("last packet in epoch %d run %d", e.ID.Epoch, e.Run)
				}
			})
		})
	}
}

// script sends messages, one a line: "v 40 key", and gives what the log holds:
// "v 40 key 0.3" with group and index.
func script(t *testing.T, p *Publisher, lines string) {
	t.Helper()
	bodies := map[string]string{
		"vconf": videoConfig, "vconf2": videoConfig + "2", "key": videoKey, "delta": videoDelta,
		"vend":  "\x17\x02\x00\x00\x00",
		"aconf": audioConfig, "aconf2": audioConfig2, "frame": audioFrame,
		"meta": onMetaData, "meta2": strings.Replace(onMetaData, "width", "WIDTH", 1), "cue": onCuePoint,
		"vcommand": "\x57\x00", "bad": "\xaf", "big": "\xaf\x00" + strings.Repeat("x", media.MaxCodecConfig),
		"track9": "\x95\x01Opus\x09x", // Enhanced RTMP v2: multitrack, coded frames, track 9
	}
	types := map[string]media.Type{"v": media.TypeVideo, "a": media.TypeAudio, "d": media.TypeData}
	for line := range strings.FieldsFuncSeq(lines, func(r rune) bool { return r == '\n' || r == ';' }) {
		var typ, body string
		var ts uint32
		if n, _ := fmt.Sscan(line, &typ, &ts, &body); n == 0 {
			continue
		}
		if bodies[body] == "" {
			t.Fatalf("no body %q", body)
		}
		p.send(t, types[typ], ts, bodies[body])
	}
}

func printed(list []logged) string {
	names := map[string]string{
		videoConfig: "vconf", videoConfig + "2": "vconf2", videoKey: "key", videoDelta: "delta",
		audioConfig: "aconf", audioConfig2: "aconf2", audioFrame: "frame", onCuePoint: "cue", "\x57\x00": "vcommand",
	}
	var b strings.Builder
	for _, e := range list {
		name := names[e.body]
		if flv.IsMetadata([]byte(e.body)) {
			name = metaName(e.body)
		}
		fmt.Fprintf(&b, "%d.%d %s %d\n", e.ID.Group, e.ID.Index, name, e.DTS)
	}
	return b.String()
}

// metaName is the name of an onMetaData by what of it is the publisher's: "gen"
// for one that is made without.
func metaName(body string) string {
	switch {
	case strings.Contains(body, "WIDTH"):
		return "meta2"
	case strings.Contains(body, "width"):
		return "meta"
	}
	return "gen"
}

// Requirement: S11 (the order of a stream's first packets).
func TestGroups(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{
			"first packets", // configs lie in the group that they precede, in order
			"d 0 meta; v 0 vconf; a 0 aconf; v 0 key; a 0 frame; v 40 delta; v 80 key; a 90 frame",
			"0.0 meta 0; 0.1 aconf 0; 0.2 vconf 0; 0.3 key 0; 0.4 frame 0; 0.5 delta 40; 1.0 key 80; 1.1 frame 90",
		},
		{
			"audio before the first keyframe",
			"d 0 meta; v 0 vconf; a 0 aconf; a 0 frame; a 20 frame; v 40 key; a 40 frame",
			"0.0 meta 0; 0.1 aconf 0; 0.2 frame 0; 0.3 frame 20; 1.0 vconf 40; 1.1 key 40; 1.2 frame 40",
		},
		{
			"video before the first keyframe is dropped",
			"v 0 vconf; v 0 delta; v 40 delta; v 80 key; v 120 delta",
			"0.0 gen 0; 0.1 vconf 0; 0.2 key 0; 0.3 delta 40",
		},
		{
			"repeated-headers",
			"v 0 vconf; a 0 aconf; d 0 meta; v 0 key; v 40 delta; v 80 vconf; a 80 aconf; d 80 meta; v 80 key; v 120 vconf",
			"0.0 meta 0; 0.1 aconf 0; 0.2 vconf 0; 0.3 key 0; 0.4 delta 40; 1.0 key 80",
		},
		{
			"codec-change", // inline, in front of the frames it belongs to
			"v 0 vconf; a 0 aconf; v 0 key; a 0 frame; v 40 vconf2; a 40 aconf2; d 40 meta2; a 40 frame; v 40 key; v 80 delta",
			"0.0 gen 0; 0.1 aconf 0; 0.2 vconf 0; 0.3 key 0; 0.4 frame 0; 0.5 meta2 40; 0.6 aconf2 40; 0.7 frame 40; 1.0 vconf2 40; 1.1 key 40; 1.2 delta 80",
		},
		{
			"changed and changed back before a frame",
			"a 0 aconf; a 0 frame; a 20 aconf2; a 20 aconf; a 20 frame",
			"0.0 gen 0; 0.1 aconf 0; 0.2 frame 0; 0.3 frame 20",
		},
		{
			"audio-only",
			"a 0 aconf; a 0 frame; a 500 frame; a 999 frame; a 1000 frame; a 1999 frame; a 2000 frame",
			"0.0 gen 0; 0.1 aconf 0; 0.2 frame 0; 0.3 frame 500; 0.4 frame 999; 1.0 frame 1000; 1.1 frame 1999; 2.0 frame 2000",
		},
		{
			"video-only",
			"v 0 vconf; v 0 key; v 1500 delta; v 3000 key; v 3000 key",
			"0.0 gen 0; 0.1 vconf 0; 0.2 key 0; 0.3 delta 1500; 1.0 key 3000; 2.0 key 3000",
		},
		{
			"late-audio",
			"v 0 vconf; v 0 key; v 1500 delta; v 3000 key; a 3010 aconf; a 3010 frame; a 4500 frame; v 4500 delta",
			"0.0 gen 0; 0.1 vconf 0; 0.2 key 0; 0.3 delta 1500; 1.0 key 3000; 1.1 gen 3010; 1.2 aconf 3010; 1.3 frame 3010; 1.4 frame 4500; 1.5 delta 4500",
		},
		{
			"video pauses", // and comes back without a keyframe, then with one
			"v 0 key; v 40 delta; a 1000 frame; a 2030 frame; a 2040 frame; a 3030 frame; a 3050 frame; v 3060 delta; " +
				"a 4070 frame; v 4080 key",
			"0.0 gen 0; 0.1 key 0; 0.2 delta 40; 0.3 gen 1000; 0.4 frame 1000; 0.5 frame 2030; 1.0 frame 2040; 1.1 frame 3030; 2.0 frame 3050; " +
				"2.1 delta 3060; 2.2 frame 4070; 3.0 key 4080",
		},
		{
			"low-fps with sound", // is not a pause
			"v 0 key; a 10 frame; v 1500 delta; a 4000 frame; a 6000 frame; v 6100 delta; a 9000 frame",
			"0.0 gen 0; 0.1 key 0; 0.2 gen 10; 0.3 frame 10; 0.4 delta 1500; 0.5 frame 4000; 0.6 frame 6000; 0.7 delta 6100; 0.8 frame 9000",
		},
		{
			"data and commands pass where they are",
			"v 0 key; d 10 cue; v 40 vcommand; v 40 delta",
			"0.0 gen 0; 0.1 key 0; 0.2 cue 10; 0.3 vcommand 0; 0.4 delta 40",
		},
		{
			"an end of sequence does not end the stream",
			"v 0 key; v 40 delta; v 80 vend; v 80 key",
			"0.0 gen 0; 0.1 key 0; 0.2 delta 40; 1.0 key 80",
		},
		{
			"what can't be used is dropped",
			"v 0 key; a 0 bad; a 0 big; a 0 track9; v 40 delta",
			"0.0 gen 0; 0.1 key 0; 0.2 delta 40",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t)
			p, _ := g.attach(testApp(), "")
			script(t, p, tt.in)
			want := strings.ReplaceAll(tt.want, "; ", "\n") + "\n"
			if got := printed(entries(t, g.live())); got != want {
				t.Errorf("log:\n%swant:\n%s", got, want)
			}
		})
	}
}

// A second run starts a group of its own; what it repeats is left out, and its
// pictures before the first keyframe are dropped.
func TestGroupsOverRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		p, _ := g.attach(testApp(), "")
		script(t, p, "d 0 meta; v 0 vconf; a 0 aconf; v 0 key; a 0 frame; v 40 delta; v 80 vconf2")
		p.Detach(errGone)
		p, _ = g.attach(testApp(), "")
		script(t, p, "d 0 meta; v 0 vconf; a 0 aconf2; v 0 delta; a 1000 frame; v 1020 key; v 1060 delta; d 0 meta2")
		p.Detach(errGone)
		p, _ = g.attach(testApp(), "")
		script(t, p, "d 7 cue; v 7 key")
		want := strings.ReplaceAll("0.0 meta 0; 0.1 aconf 0; 0.2 vconf 0; 0.3 key 0; 0.4 frame 0; 0.5 delta 40; "+
			"1.0 meta 80; 1.1 aconf2 80; 1.2 frame 80; 2.0 key 100; 2.1 delta 140; 3.0 cue 140; 4.0 meta2 182; 4.1 key ", "; ", "\n")
		list := entries(t, g.live())
		if got := printed(list); !strings.HasPrefix(got, want) {
			t.Errorf("log:\n%swant:\n%s", got, want)
		}
		checkClock(t, list)
		runs := []uint32{}
		for _, e := range list {
			runs = append(runs, e.Run)
		}
		if want := []uint32{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2}; !slices.Equal(runs, want) {
			t.Errorf("runs %v, want %v", runs, want)
		}
	})
}

func TestDropsAreCounted(t *testing.T) {
	g := newRig(t)
	p, _ := g.attach(testApp(), "")
	script(t, p, "v 0 delta; v 0 key; a 0 bad; a 0 bad; a 0 big; a 0 track9")
	for r, want := range map[DropReason]int64{
		DropLate: 0, DropNoKeyframe: 1, DropMalformed: 2, DropOversize: 1, DropTracks: 1, numDropReasons: 0, -1: 0,
	} {
		if n := g.Counters().Dropped(r); n != want {
			t.Errorf("%d packets dropped as %s, want %d", n, r, want)
		}
	}
	if i, _ := g.Stream(testKey()); i.Dropped != 5 || i.Packets != 2 {
		t.Errorf("%d dropped, %d packets, want 5 and 2", i.Dropped, i.Packets)
	}
	for i, typ := range []media.Type{media.TypeVideo, media.TypeAudio, media.TypeData} {
		p.send(t, typ, 40, "") // does not end the publisher
		if n := g.Counters().Dropped(DropMalformed); n != int64(3+i) {
			t.Errorf("%v without a body: %d malformed packets, want %d", typ, n, 3+i)
		}
	}
}

func TestRebasesAreCounted(t *testing.T) {
	g := newRig(t)
	p, _ := g.attach(testApp(), "")
	p.publish(t, 0, 1000)
	p.publish(t, 5_000_000, 1000) // a jump in the middle of a run
	checkClock(t, entries(t, g.live()))
	if i, _ := g.Stream(testKey()); i.Rebases == 0 || g.Counters().Rebases() != i.Rebases {
		t.Errorf("%d rebases of the stream, %d of all", i.Rebases, g.Counters().Rebases())
	}
}

// Requirement: S8 (the session's part: bodies enter the log unchanged).
func TestBodiesAreUnchanged(t *testing.T) {
	g := newRig(t)
	p, _ := g.attach(testApp(), "")
	rng := rand.New(rand.NewPCG(8, 8))
	var want []string
	for i := range 500 {
		body := []byte(videoDelta)
		if i%50 == 0 {
			body = []byte(videoKey)
		}
		for range rng.IntN(20000) {
			body = append(body, byte(rng.Uint32()))
		}
		m := rtmp.Message{Type: media.TypeVideo, Timestamp: uint32(i * 40), Body: body}
		if err := p.Write(m, time.Now()); err != nil {
			t.Fatal(err)
		}
		want = append(want, string(body))
		clear(body) // the session has a copy
	}
	for i, e := range entries(t, g.live())[1:] { // behind the metadata
		if e.body != want[i] {
			t.Fatalf("body %d differs", i)
		}
	}
}
