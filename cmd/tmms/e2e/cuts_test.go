package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

const (
	cuts       = 20
	cutRun     = 1200 * time.Millisecond // of a publisher between two cuts
	cutOutage  = 400 * time.Millisecond  // between a cut and the next publisher
	cutLastRun = 9 * time.Second         // in which HLS players get behind the last cut
)

// TestTwentyCuts cuts the publisher's connection twenty times in a row and pushes
// again each time: from 0, from a random time, or shortly before a time at which
// the clock takes one bit more or has none left. Viewers on RTMP, FLV and HLS
// watch, ffmpeg and Chromium among them, and notice nothing but the outage.
//
// Requirement: S6
func TestTwentyCuts(t *testing.T) {
	t.Parallel()
	s := startDev(t)
	tags := readFLV(t, "av.flv")
	p := cutPublisher(t, s)
	stop := p.loop(tags)
	s.waitPlaylist(t, "cuts", 3)
	pages := map[string]*chrome{}
	for _, by := range []string{"flv", "hls"} {
		pages[by] = startChrome(t, s.url("/?stream=live/cuts&by="+by))
	}
	for _, c := range pages {
		c.waitPlaying(t)
	}

	ctx, end := context.WithCancel(t.Context())
	defer end()
	players := []*player{startPlayer(ctx, s.url("/live/cuts.flv")), startPlayer(ctx, s.pushURL("cuts"))}
	list := watchPlaylist(ctx, t, s.url("/live/cuts/live.m3u8"))
	ffmpeg := startCutDecoders(t, s)
	waitFor(t, 30*time.Second, "the viewers to connect", func() bool { return s.viewers(t) >= 5 })

	began := time.Now()
	rnd := rand.New(rand.NewPCG(20, 20))
	for cut := range cuts {
		if stop != nil {
			stop()
			stop = nil
		}
		p.cut()
		<-time.After(cutOutage)
		p = cutPublisher(t, s)
		d := cutRun
		if cut == cuts-1 {
			d = cutLastRun
		}
		p.play(tags, cutOffset(rnd, cut), d)
	}
	ended := time.Now()

	for by, c := range pages {
		checkStalls(t, by, c.end(t), began, ended)
	}
	ffmpeg.check(t)
	end()
	for _, player := range players {
		player.checkCuts(t, tags)
	}
	if <-list.done; len(list.faults) > 0 {
		t.Errorf("playlist: %q", list.faults)
	}
	for msn, marked := range list.marked {
		if marked {
			t.Errorf("playlist: segment %s is a discontinuity", list.names[msn])
		}
	}
}

func cutPublisher(t *testing.T, s *server) *pusher {
	t.Helper()
	p, refused := dialPush(t, s.pushURL("cuts"), rtmp.OrderFFmpeg)
	if refused != nil {
		t.Fatalf("refused: %+v", refused)
	}
	return p
}

// cutOffset is the timestamp that a publisher starts with.
func cutOffset(rnd *rand.Rand, cut int) uint32 {
	const before = 600 // ms, in the middle of a run
	switch cut % 5 {
	case 0:
		return 0
	case 1:
		return 0xFFFFFFFF - before
	case 2:
		return 1<<31 - before
	case 3:
		return 1<<24 - before
	}
	return rnd.Uint32()
}

// checkCuts wants one viewing of all publishers on one clock, without gaps and
// without a drift: so much was sent, and so much time it takes.
func (p *player) checkCuts(t *testing.T, pushed []flv.Tag) {
	t.Helper()
	<-p.done
	if len(p.viewings) != 1 || p.viewings[0].closed || p.viewings[0].err != nil {
		t.Errorf("%s: %d viewings, the first ended by the server %v, %v", p.url, len(p.viewings),
			p.viewings[0].closed, p.viewings[0].err)
		return
	}
	got := p.viewings[0].tags
	c := checkOneClock(t, p.url, pushed, got)
	if c.runs < cuts+1 || c.runs > cuts+2 || len(c.gaps) > 0 { // the first one may have begun its file anew
		t.Errorf("%s: %d runs with gaps of %v ms, want %d and none", p.url, c.runs, c.gaps, cuts+1)
	}
	var first, last uint32
	frames := uint32(0)
	for _, tag := range got {
		if tag.Type == media.TypeVideo && isMedia(tag) {
			if frames++; frames == 1 {
				first = tag.Timestamp
			}
			last = tag.Timestamp
		}
	}
	if took, want := last-first, (frames-1)*frame; took+cuts*frame < want || took > want+cuts*frame {
		t.Errorf("%s: %d pictures take %d ms, want %d within a frame a cut", p.url, frames, took, want)
	}
}

// cutDecoders are ffmpeg on each protocol.
type cutDecoders struct {
	wg   sync.WaitGroup
	errs chan error
}

func startCutDecoders(t *testing.T, s *server) *cutDecoders {
	t.Helper()
	d := &cutDecoders{errs: make(chan error, 3)}
	const most = cuts * cutRun // of media; HLS players begin some seconds before the cuts, and end before the end
	for url, length := range map[string]time.Duration{
		s.url("/live/cuts.flv"): most + 2*time.Second, s.pushURL("cuts"): most + 2*time.Second, s.url("/live/cuts.m3u8"): most + 6*time.Second,
	} {
		d.wg.Go(func() {
			got, err := decode(t, url, length)
			if want := int(length/time.Second) * 24; err == nil && got.video < want {
				err = fmt.Errorf("%s: %d pictures, want %d", url, got.video, want)
			}
			d.errs <- err
		})
	}
	return d
}

func (d *cutDecoders) check(t *testing.T) {
	t.Helper()
	d.wg.Wait()
	close(d.errs)
	for err := range d.errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// checkStalls wants a page to have played on, and not to have stood still for
// longer than nobody published, neither once nor in all, with slack for a busy
// machine.
func checkStalls(t *testing.T, by string, s screening, from, to time.Time) {
	t.Helper()
	const slack = time.Second
	still, longest := s.stood(from, to)
	t.Logf("%s: the page stood still for %v, at most %v at a time", by, still, longest)
	const outages = cuts * cutOutage
	if still > outages+slack || longest > cutOutage+slack {
		t.Errorf("%s: want at most %v, and %v at a time, and %v for a busy machine", by, outages, cutOutage, slack)
	}
	for _, e := range s.Errors {
		if e.Fatal {
			t.Errorf("%s: fatal %s", by, e.Details)
		}
	}
	if !strings.HasPrefix(s.Status, "Playing ") {
		t.Errorf("%s: the page says %q", by, s.Status)
	}
}
