package session

import (
	"testing"
	"testing/synctest"
	"time"

	"tmms/media"
)

// A stream that another owner had goes on at the wall clock time since its time
// 0, and its first segment is a discontinuity.
//
// Requirement: S6 (the session's part across owners: one clock, numbers that
// rise, one discontinuity).
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		app := testApp()
		app.HLS.Enabled = true
		g.cluster.t0 = time.Now().Add(-time.Hour)
		claimed := uint64(time.Now().Unix())
		p, _ := g.attach(app, "")
		time.Sleep(3 * time.Second) // the first packet decides
		p.pictures(t, avcConfig, avcKey, avcDelta, 10)
		life := g.live()
		list := entries(t, life)
		checkClock(t, list)
		want := media.Timestamp((time.Hour + 3*time.Second).Milliseconds())
		for _, e := range list {
			if e.DTS < want || e.DTS > want+11_000 {
				t.Fatalf("%v: %v at %d, the stream is %d ms old", e.ID, e.Kind, e.DTS, want)
			}
		}
		x := life.Index()
		for i, s := range x.Segments {
			if s.Discontinuity != (i == 0) || s.MSN != claimed+uint64(i) {
				t.Errorf("segment %d is %d, discontinuity %v; want %d and only the first", i, s.MSN, s.Discontinuity, claimed+uint64(i))
			}
		}

		// Another run of this epoch does not look at the wall clock again.
		p.Detach(errGone)
		time.Sleep(10 * time.Second)
		last := life.LastDTS()
		p, _ = g.attach(app, "")
		p.pictures(t, avcConfig, avcKey, avcDelta, 1)
		for _, e := range entries(t, life) {
			if e.Run == 1 && (e.DTS < last || e.DTS > last+1100) {
				t.Fatalf("run 1 is at %d, run 0 ended at %d", e.DTS, last)
			}
		}
		p.Detach(errGone)
		time.Sleep(app.Grace + time.Second)
		g.empty()
	})
}

// A stream that another owner had is not released by a publisher that goes without a
// packet: its time 0, and what readers have of it, would be lost.
func TestResumeWithoutPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.cluster.t0 = time.Now().Add(-time.Hour)
		p, _ := g.attach(testApp(), "")
		time.Sleep(time.Second)
		p.Detach(errGone)
		if i, ok := g.Stream(testKey()); !ok || i.State != "grace" {
			t.Errorf("%+v, %t; want it to wait", i, ok)
		}
		time.Sleep(testApp().Grace + time.Second)
		g.empty()
	})
}

// A clock that is behind that of the node which made the stream does not take
// it below 0.
func TestResumeBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.cluster.t0 = time.Now().Add(time.Minute)
		p, _ := g.attach(testApp(), "")
		p.publish(t, 0, 1000)
		if e := entries(t, g.live())[0]; e.DTS < 0 || e.DTS > 100 {
			t.Errorf("the first packet is at %d", e.DTS)
		}
		p.Detach(errGone)
		time.Sleep(testApp().Grace + time.Second)
	})
}
