package e2e

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"tmms/media/flv"
	"tmms/media/rtmp"
)

// leader is the node that leads, as e1 knows it.
func leader(t *testing.T) string {
	t.Helper()
	name := ""
	waitFor(t, 15*time.Second, "a leader", func() bool {
		name = leaderOf(t, adminPort["e1"])
		return name != ""
	})
	return name
}

// show is a stream on the air, with an audience at every edge by every protocol.
type show struct {
	t    *testing.T
	sh   *shell
	tags []flv.Tag

	pusher *pusher
	stop   func() // ends pusher's loop

	end     context.CancelFunc // of the audience
	players [3]*player         // one at each edge
	lists   [3]*playlists
	chrome  *chrome  // hls.js at e2
	decoder *decoder // ffmpeg with HLS of e1
}

// startShow publishes live/roam at an origin; a player waits for a publisher,
// but not for ever, so the publisher comes first.
func startShow(t *testing.T, sh *shell, origin string) *show {
	t.Helper()
	s := &show{t: t, sh: sh, tags: readFLV(t, "av.flv")}
	s.publish(origin)
	ctx, end := context.WithCancel(t.Context())
	t.Cleanup(end)
	s.end = end
	for i, url := range []string{
		"http://" + edgeHTTP[0] + "/live/roam.flv",
		"rtmp://" + edgeRTMP[1] + "/live/roam",
		"http://" + edgeHTTP[2] + "/live/roam.flv",
	} {
		s.players[i] = startPlayer(ctx, url)
		s.lists[i] = watchPlaylist(ctx, t, "http://"+edgeHTTP[i]+"/live/roam/live.m3u8")
	}
	for i, proto := range []string{"flv", "rtmp", "flv"} {
		s.waitPlaying(fmt.Sprint("e", i+1), proto)
	}
	return s
}

// waitPlaying waits until an edge sends to a player.
func (s *show) waitPlaying(edge, proto string) {
	s.t.Helper()
	waitFor(s.t, 15*time.Second, "a player at "+edge, func() bool { return sentAt(s.t, edge, proto) > 50_000 })
}

// publish pushes to an origin, again and again until it is taken.
func (s *show) publish(origin string) {
	s.t.Helper()
	waitFor(s.t, 40*time.Second, origin+" to take the stream", func() bool {
		p, refused, err := tryPush(s.t, "rtmp://"+originRTMP[origin]+"/live/roam", rtmp.OrderFFmpeg)
		if err != nil || refused != nil {
			return false
		}
		p.mayFail = true
		s.pusher, s.stop = p, p.loop(s.tags)
		return true
	})
}

// move ends the publisher, whose origin is gone, and publishes at another one.
// It gives the time that this took.
func (s *show) move(origin string) time.Duration {
	s.t.Helper()
	since := time.Now()
	s.stop()
	s.pusher.cut()
	s.publish(origin)
	return time.Since(since)
}

// TestClusterFaults kills every process of the quickstart's cluster once under a
// running stream, and starts it again: a follower that owns nothing, a leader
// that owns nothing, each edge, and the owner, whose publisher comes back to
// another origin. That one is then stopped as an operator does it.
//
// Requirement: C5 C6 S6
func TestClusterFaults(t *testing.T) {
	sh := startCluster(t)
	first := leader(t)
	followers := []string{"o1", "o2", "o3"}
	followers = slices.DeleteFunc(followers, func(name string) bool { return name == first })
	owner, third := followers[0], followers[1]
	s := startShow(t, sh, owner)

	const outage = 2 * time.Second
	for _, name := range []string{third, first, "e1", "e2", "e3"} {
		sh.kill9(name)
		<-time.After(outage)
		sh.start(name)
		if proto, edge := map[string]string{"e1": "flv", "e2": "rtmp", "e3": "flv"}[name]; edge {
			s.waitPlaying(name, proto)
		}
	}

	// Real HLS players, from before the owner's death to the end.
	s.chrome = startChrome(t, "http://"+edgeHTTP[1]+"/?stream=live/roam&by=hls")
	s.decoder = startDecoder(t, "http://"+edgeHTTP[0]+"/live/roam.m3u8")
	s.chrome.waitPlaying(t)

	sh.kill9(owner)
	t.Logf("the stream was taken %v after its owner's death", s.move(third))
	back := time.Now()
	sh.start(owner)
	<-time.After(time.Until(back.Add(hlsSettle)))

	sh.signal(third, syscall.SIGTERM)
	stopped := time.Now()
	if code := sh.exit(third); code != 0 || time.Since(stopped) > 5*time.Second {
		t.Errorf("%s exited with %d %v after SIGTERM", third, code, time.Since(stopped))
	}
	t.Logf("the stream was taken %v after its owner's end", s.move(first))
	moved := time.Now()
	<-time.After(hlsSettle)

	picture, decoded := s.chrome.end(t), s.decoder.end(t)
	s.stop()
	s.end()
	for i, p := range s.players {
		gaps := p.check(t, s.tags, 2) // each edge was killed once
		// One clock through both owners' ends, with no step that anybody would notice.
		for _, gap := range gaps {
			if gap >= 100 {
				t.Errorf("%s: gaps of %v ms, want none of 100 or more", p.url, gaps)
			}
		}
		s.lists[i].check(t, 3)
		t.Logf("%s: gaps of %v ms", p.url, gaps)
	}
	t.Logf("hls.js: errors %+v; ffmpeg: frames %v", picture.Errors, decoded.frames)
	picture.check(t, back, stopped)
	picture.check(t, moved, moved.Add(hlsSettle))
	decoded.check(t, 0)
	sh.run("kill $(cat run/[oe]?.pid)")
}

// hlsSettle is a time in which HLS players get well behind a seam: three
// segments are buffered, and some more must play.
const hlsSettle = 18 * time.Second
