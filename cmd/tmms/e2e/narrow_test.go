package e2e

import (
	"testing"
	"time"

	"tmms/bench/signal"
)

// TestNarrowPath: for some seconds the link carries half of what the stream needs.
// When it recovers, viewers are at live again at once.
//
// That puts them up to a half of that time behind: those of an app whose latency
// is more get every frame, the others are spared whole groups, so that they are
// never much further behind than that, and go on with a keyframe.
func TestNarrowPath(t *testing.T) {
	f := startFar(t, "delay 10ms rate 20M queue 50",
		"domains: [{name: default, aliases: ['*'], apps: [{name: live, latency: 1s}]}]")
	f.air(signal.Config{BitrateBPS: 4_000_000, FPS: 30, GOP: 30})
	w := f.watch()
	<-time.After(time.Second) // the join is behind
	began := time.Now()
	<-time.After(3 * time.Second)
	normal := lagAt(between(w.seen(), began, time.Now()), 0.99)
	t.Run("for 1.5 s", func(t *testing.T) {
		left, abandoned := narrow(t, f, w, normal, "2M", 1500*time.Millisecond)
		if len(left) > 0 || abandoned > 0 {
			t.Errorf("%v frames were left out, %v groups abandoned", left, abandoned)
		}
	})
	t.Run("for 5 s", func(t *testing.T) {
		left, abandoned := narrow(t, f, w, normal, "2M", 5*time.Second)
		if len(left) == 0 || abandoned == 0 {
			t.Errorf("%v frames were left out, %v groups abandoned", left, abandoned)
		}
	})
}

// narrow lets the link carry a lower rate for a time, and looks whether viewers
// are at live from a second later on. It gives the frames that were left out, by
// seams, and how many groups the origin has abandoned.
func narrow(t *testing.T, f *far, w *witness, normal time.Duration, rate string, d time.Duration) (left []int, abandoned float64) {
	t.Helper()
	before, given := len(w.seen()), f.abandoned()
	f.set("ab rate " + rate)
	<-time.After(d)
	f.set("ab rate 20M")
	recovered := time.Now()
	const rest, margin = 3 * time.Second, 500 * time.Millisecond // of a busy machine
	<-time.After(rest)
	all := w.seen()[before-1:]
	after := between(all, recovered.Add(time.Second), recovered.Add(rest-margin))
	left, abandoned = skips(t, all), f.abandoned()-given
	t.Logf("lag p99 %v before, at most %v, p99 %v a second after; frames left out %v, groups abandoned %v",
		normal, lagAt(all, 1), lagAt(after, 0.99), left, abandoned)
	if len(after) < 40 { // of 1.5 s
		t.Errorf("%d frames came", len(after))
	}
	if lag := lagAt(after, 0.99); lag > normal+margin {
		t.Errorf("a second after the link has recovered the lag is %v, before it was %v", lag, normal)
	}
	return left, abandoned
}

// abandoned is how many groups the origin has given up.
func (f *far) abandoned() float64 {
	return f.origin.metric(f.t, "tmms_relay_abandoned_groups_total")
}
