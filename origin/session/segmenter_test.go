package session

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tmms/media"
	"tmms/origin/pipeline"
)

// An H.264 configuration and pictures, and a codec that MPEG-TS can't carry.
const (
	avcConfig = "\x17\x00\x00\x00\x00\x01\x42\xc0\x1e\xff\xe1\x00\x18" +
		"\x67\x42\xc0\x1e\xd9\x00\xa0\x2f\xf9\x61\x00\x00\x03\x00\x01\x00\x00\x03\x00\x32\x0f\x16\x2e\x48" +
		"\x01\x00\x05\x68\xcb\x83\xcb\x20"
	avcKey   = "\x17\x01\x00\x00\x00\x00\x00\x00\x02\x65\x88"
	avcDelta = "\x27\x01\x00\x00\x00\x00\x00\x00\x02\x41\x9a"
	vp6Key   = "\x14\x00\x01"
	vp6Delta = "\x24\x00\x01"
)

// pictures sends so many seconds of 25 pictures with AAC, at their pace.
func (p *Publisher) pictures(t *testing.T, config, key, delta string, seconds int) {
	t.Helper()
	if config != "" {
		p.video(t, 0, config)
	}
	p.audio(t, 0, audioConfig)
	for i := range seconds * 25 {
		body := delta
		if i%25 == 0 {
			body = key
		}
		p.video(t, uint32(i*40), body)
		p.audio(t, uint32(i*40), audioFrame)
		p.audio(t, uint32(i*40+20), audioFrame)
		time.Sleep(40 * time.Millisecond)
	}
}

// Requirement: S12 (the session's part: HLS is made where the app has it on).
func TestSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		app := testApp()
		app.HLS.Enabled = true
		began := uint64(time.Now().Unix())
		p, _ := g.attach(app, "")
		p.pictures(t, avcConfig, avcKey, avcDelta, 10)
		life := g.live()
		p.Detach(errGone)
		time.Sleep(5 * time.Second)
		p, _ = g.attach(app, "")
		p.pictures(t, avcConfig, avcKey, avcDelta, 10)
		x := life.Index()
		if x == nil || x.Epoch != p.Epoch() || x.Ended || len(x.Segments) < 8 || x.Segments[0].MSN != began {
			t.Fatalf("index %+v", x)
		}
		for i, s := range x.Segments {
			if s.MSN != began+uint64(i) || s.Discontinuity {
				t.Errorf("segment %d has the number %d, discontinuity %v; the configs did not change", i, s.MSN, s.Discontinuity)
			}
		}
		p.Detach(errGone)
		time.Sleep(21 * time.Second)
		if x = life.Index(); !x.Ended {
			t.Error("the index of an ended stream has no end mark")
		}
	})
}

// LL-HLS (the session's part: LL-HLS is made where the app has it on).
func TestLowLatencySegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		app := testApp()
		app.HLS.Enabled, app.HLS.LowLatency, app.HLS.Part = true, true, 200*time.Millisecond
		p, _ := g.attach(app, "")
		p.pictures(t, avcConfig, avcKey, avcDelta, 9)
		x := g.live().Index()
		if x == nil || x.PartTarget != 200*time.Millisecond || x.Open == nil || len(x.Open.Parts) == 0 || x.Version < 20 {
			t.Fatalf("index %+v", x)
		}
		for _, s := range x.Segments {
			if s.TS == nil || s.MP4 == nil || len(s.Parts) != 10 {
				t.Errorf("segment %+v", s)
			}
		}
		if _, err := x.Reached(x.NextMSN(), len(x.Open.Parts)-1); err != nil {
			t.Error(err)
		}
		p.Detach(errGone)
	})
}

func TestSegmentsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		p, _ := g.attach(testApp(), "")
		p.pictures(t, avcConfig, avcKey, avcDelta, 10)
		if x := g.live().Index(); x != nil {
			t.Errorf("an app without HLS has the index %+v", x)
		}
		p.Detach(errGone)

		t.Log("switched on: from the next run, with the headers that are in force")
		app := testApp()
		app.HLS.Enabled = true
		p, _ = g.attach(app, "")
		p.pictures(t, avcConfig, avcKey, avcDelta, 10)
		x := g.live().Index()
		if x == nil || x.Variant.VideoCodec == "" || x.Variant.AudioCodec == "" {
			t.Fatalf("index %+v", x)
		}
		p.Detach(errGone)

		t.Log("switched off: the playlist ends")
		p, _ = g.attach(testApp(), "")
		p.pictures(t, avcConfig, avcKey, avcDelta, 3)
		if x = g.live().Index(); !x.Ended {
			t.Error("HLS was switched off and the index has no end mark")
		}
		p.Detach(errGone)

		t.Log("switched on again: not in this life, versions would go back")
		p, _ = g.attach(app, "")
		p.pictures(t, avcConfig, avcKey, avcDelta, 10)
		if y := g.live().Index(); y != x {
			t.Errorf("index of version %d after %d", y.Version, x.Version)
		}
	})
}

// Requirement: S18 (what MPEG-TS can't carry is refused there, with a clear
// error, and passes by RTMP and FLV).
func TestUnsupportedCodec(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines bytes.Buffer
		g := newRig(t)
		g.deps.Log = slog.New(slog.NewTextHandler(&lines, nil))
		app := testApp()
		app.HLS.Enabled = true
		for range 2 {
			p, _ := g.attach(app, "")
			before := g.live().Packets()
			p.pictures(t, "", vp6Key, vp6Delta, 4)
			if n := g.live().Packets() - before; n < 4*75 {
				t.Errorf("%d packets are in the log, want %d", n, 4*75)
			}
			i, _ := g.Stream(testKey())
			if g.live().Index() != nil || i.HLSError == nil || !strings.Contains(i.HLSError.Error(), "vp6") {
				t.Errorf("index %v, error %v; want none and one that names vp6", g.live().Index(), i.HLSError)
			}
			if i.Tracks.Video.Codec != media.CodecVP6 {
				t.Errorf("video is %v, want vp6", i.Tracks.Video.Codec)
			}
			p.Detach(errGone)
		}
		if n := strings.Count(lines.String(), "stream has no HLS"); n != 1 {
			t.Errorf("logged %d times, want once:\n%s", n, lines.String())
		}

		t.Log("a publisher that comes back with H.264 gets HLS")
		p, _ := g.attach(app, "")
		p.pictures(t, avcConfig, avcKey, avcDelta, 10)
		if i, _ := g.Stream(testKey()); g.live().Index() == nil || i.HLSError != nil {
			t.Errorf("index %v, error %v", g.live().Index(), i.HLSError)
		}
	})
}

func TestBadHLSConfig(t *testing.T) {
	g := newRig(t)
	app := testApp()
	app.HLS.Enabled, app.HLS.Window = true, 0
	p, _ := g.attach(app, "")
	p.video(t, 0, avcKey)
	if i, _ := g.Stream(testKey()); i.HLSError == nil || i.Packets != 2 {
		t.Errorf("error %v, %d packets; want an error, the metadata and the packet", i.HLSError, i.Packets)
	}
	if (pipeline.Config{}).Validate() == nil {
		t.Error("an empty config is accepted")
	}
}
