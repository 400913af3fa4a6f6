package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tmms/media"
	"tmms/media/flv"
	"tmms/media/rtmp"
)

// TestPublishAnywhere pushes to origins that do and do not own a stream, and to
// those that can't take it.
//
// Requirement: C4 C6
func TestPublishAnywhere(t *testing.T) {
	sh := startCluster(t)
	t.Run("at once", func(t *testing.T) {
		t.Run("a second publisher is the owner's to refuse", busyElsewhere)
		t.Run("a publisher moves to origins that do not own", moveInGrace)
		t.Run("an edge names an origin to publish to", publishAtEdge)
		t.Run("an origin names an edge to play from", playAtOrigin)
		t.Run("a cold edge has the full window", coldEdge)
	})
	sh.run("kill $(cat run/[oe]?.pid)")
}

// air pushes to an origin in a loop, which ends with the test.
func air(t *testing.T, origin, name string, tags []flv.Tag) (p *pusher, stop func()) {
	t.Helper()
	p, refused := dialPush(t, "rtmp://"+originRTMP[origin]+"/live/"+name, rtmp.OrderFFmpeg)
	if refused != nil {
		t.Fatalf("%s refuses: %+v", origin, refused)
	}
	stop = sync.OnceFunc(p.loop(tags))
	t.Cleanup(stop)
	return p, stop
}

// busyElsewhere pushes a stream to two origins. The app has the default policy,
// by which a publisher that sends keeps its stream.
func busyElsewhere(t *testing.T) {
	t.Parallel()
	air(t, "o1", "busy", readFLV(t, "av.flv"))
	waitFor(t, 5*time.Second, "the owner", func() bool { return stream(t, "o2", "busy").Owner == "o1" })
	before := stream(t, "o2", "busy")
	for _, origin := range []string{"o2", "o3", "o1"} {
		_, refused := dialPush(t, "rtmp://"+originRTMP[origin]+"/live/busy", rtmp.OrderFFmpeg)
		if refused == nil || refused.Code != "NetStream.Publish.BadName" ||
			!strings.Contains(refused.Description, "the stream has a publisher") {
			t.Errorf("%s answers a second publisher with %+v", origin, refused)
		}
	}
	if got, err := decode(t, "rtmp://"+edgeRTMP[0]+"/live/busy", 2*time.Second); err != nil || got.video < 45 {
		t.Errorf("the first publisher's stream: %+v, %v", got, err)
	}
	after := stream(t, "o2", "busy")
	if after.Owner != "o1" || after.Epoch != before.Epoch || after.Run != before.Run ||
		after.Publisher == nil || before.Publisher == nil || after.Publisher.Remote != before.Publisher.Remote {
		t.Errorf("the stream was %+v and is %+v", before, after)
	}
}

// moveInGrace cuts a publisher and pushes again to another origin, twice, while
// the owner lives: the packets go to the owner, whose stream goes on.
//
// Requirement: S6 S8 (across origins)
func moveInGrace(t *testing.T) {
	t.Parallel()
	tags := readFLV(t, "av.flv")
	p, stop := air(t, "o1", "move", tags)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	players := []*player{
		startPlayer(ctx, "http://"+edgeHTTP[0]+"/live/move.flv"),
		startPlayer(ctx, "rtmp://"+edgeRTMP[1]+"/live/move"),
	}
	list := watchPlaylist(ctx, t, "http://"+edgeHTTP[2]+"/live/move/live.m3u8")
	hls := make(chan error, 1)
	go func() {
		got, err := decode(t, "http://"+edgeHTTP[2]+"/live/move.m3u8", 12*time.Second)
		if err == nil && got.video < 280 {
			err = fmt.Errorf("HLS: %d video frames in 12 s", got.video)
		}
		hls <- err
	}()
	<-time.After(4 * time.Second)
	first := stream(t, "e3", "move")
	runs := [][]flv.Tag{}
	for _, origin := range []string{"o2", "o3"} {
		stop()
		runs = append(runs, p.sent)
		p.cut()
		waitFor(t, 5*time.Second, "the grace", func() bool { return stream(t, "e3", "move").State == "grace" })
		p, stop = air(t, origin, "move", tags)
		<-time.After(5 * time.Second)
		now := stream(t, "e3", "move")
		if now.Owner != "o1" || now.Epoch != first.Epoch || now.Run != uint32(len(runs)) ||
			now.Publisher == nil || !strings.HasSuffix(now.Publisher.Remote, " via "+origin) {
			t.Errorf("with the publisher at %s the stream is %+v, was %+v", origin, now, first)
		}
	}
	if err := <-hls; err != nil {
		t.Error(err)
	}
	stop()
	runs = append(runs, p.sent)
	<-time.After(time.Second) // for what is on its way
	cancel()
	for _, pl := range players {
		if gaps := pl.check(t, tags, 1); len(gaps) > 0 {
			t.Errorf("%s: gaps of %v ms", pl.url, gaps)
			continue
		}
		sameBodies(t, pl.url, runs, pl.viewings[0].tags)
	}
	list.check(t, 1)
}

// sameBodies compares the bodies of each run's frames, in order, with what was
// sent. A run that was cut may lack its last ones; a player joins the first.
func sameBodies(t *testing.T, url string, runs [][]flv.Tag, got []flv.Tag) {
	t.Helper()
	for _, typ := range []media.Type{media.TypeAudio, media.TypeVideo} {
		bodies := func(tags []flv.Tag) (list []string) {
			for _, tag := range tags {
				if tag.Type == typ && isMedia(tag) {
					list = append(list, string(tag.Body))
				}
			}
			return list
		}
		have := bodies(got)
		for i, run := range runs {
			sent := bodies(run)
			if i == 0 {
				sent = sent[max(0, slices.Index(sent, have[0])):]
			}
			n := 0
			for n < min(len(sent), len(have)) && sent[n] == have[n] {
				n++
			}
			last := i == len(runs)-1
			if lost := len(sent) - n; lost > 0 && last || lost > 5 || n == 0 {
				t.Errorf("%s: run %d: %d of %d %v bodies are as sent", url, i, n, len(sent), typ)
			}
			have = have[n:]
		}
		if len(have) > 0 {
			t.Errorf("%s: %d %v bodies more than were sent", url, len(have), typ)
		}
	}
}

// coldEdge asks an edge for a playlist of a stream that nobody there has watched:
// the first answer has the full window, and its segments are there.
func coldEdge(t *testing.T) {
	t.Parallel()
	air(t, "o2", "cold", readFLV(t, "av.flv"))
	segment := regexp.MustCompile(`(?m)^[0-9-]+\.ts$`)
	list := func(edge string) []string {
		code, body := get(t, "http://"+edge+"/live/cold/live.m3u8")
		if code != http.StatusOK {
			t.Logf("%s: %d", edge, code)
		}
		return segment.FindAllString(string(body), -1)
	}
	const window = 6 // the app's
	waitFor(t, 40*time.Second, "a full window at e1", func() bool { return len(list(edgeHTTP[0])) == window })
	began := time.Now()
	names := list(edgeHTTP[2])
	if took := time.Since(began); len(names) != window || took > 2*time.Second {
		t.Errorf("the first playlist of a cold edge lists %d segments after %v", len(names), took)
	}
	for _, name := range names {
		if code, _ := get(t, "http://"+edgeHTTP[2]+"/live/cold/"+name); code != http.StatusOK {
			t.Errorf("%s: %d", name, code)
		}
	}
}

// named is the RTMP address in the text of a refusal.
func named(t *testing.T, text string) string {
	t.Helper()
	at := regexp.MustCompile(`rtmp://[0-9.:]+`).FindString(text)
	if at == "" {
		t.Fatalf("no address in %q", text)
	}
	return at
}

func publishAtEdge(t *testing.T) {
	t.Parallel()
	var refused *rtmp.Status
	waitFor(t, 30*time.Second, "the edge to know an origin", func() bool {
		_, refused = dialPush(t, "rtmp://"+edgeRTMP[0]+"/live/astray", rtmp.OrderFFmpeg)
		return refused == nil || strings.Contains(refused.Description, "rtmp://")
	})
	if refused == nil || refused.Code != "NetConnection.Connect.Rejected" {
		t.Fatalf("an edge answers a publisher with %+v", refused)
	}
	at := named(t, refused.Description)
	if refused.Redirect != at+"/live/astray?via=1" {
		t.Errorf("%q is not where it redirects to, %q", at, refused.Redirect)
	}
	if !slices.Contains([]string{originRTMP["o1"], originRTMP["o2"], originRTMP["o3"]}, strings.TrimPrefix(at, "rtmp://")) {
		t.Errorf("%q does not name an origin", refused.Description)
	}
	if _, refused = dialPush(t, at+"/live/astray", rtmp.OrderFFmpeg); refused != nil {
		t.Errorf("%s refuses: %+v", at, refused)
	}
}

func playAtOrigin(t *testing.T) {
	t.Parallel()
	air(t, "o1", "lost", readFLV(t, "av.flv"))
	waitFor(t, 30*time.Second, "the origin to know an edge", func() bool {
		_, body := get(t, "http://"+originRTMP["o1"]+"/live/lost.flv")
		return strings.Contains(string(body), "http://")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, _, err := watchRTMP(ctx, "rtmp://"+originRTMP["o1"]+"/live/lost")
	refused, ok := errors.AsType[*refusedError](err)
	if !ok || refused.Code != "NetStream.Play.Failed" {
		t.Fatalf("an origin answers a player with %v", err)
	}
	at := named(t, refused.Description)
	if !slices.Contains(edgeRTMP, strings.TrimPrefix(at, "rtmp://")) {
		t.Errorf("%q does not name an edge", refused.Description)
	}
	if got, err := decode(t, at+"/live/lost", 2*time.Second); err != nil || got.video < 45 {
		t.Errorf("%s: %+v, %v", at, got, err)
	}
	code, body := get(t, "http://"+originRTMP["o1"]+"/live/lost.flv")
	at = regexp.MustCompile(`http://[0-9.:]+`).FindString(string(body))
	if code != http.StatusBadRequest || !slices.Contains(edgeHTTP, strings.TrimPrefix(at, "http://")) {
		t.Fatalf("an origin answers a player by HTTP with %d %q", code, body)
	}
	if got, err := decode(t, at+"/live/lost.flv", 2*time.Second); err != nil || got.video < 45 {
		t.Errorf("%s: %+v, %v", at, got, err)
	}
}
