package e2e

import (
	"slices"
	"testing"
	"time"

	"tmms/bench/signal"
)

// lagAt is the lag that a share of the frames stays within.
func lagAt(sights []sight, share float64) time.Duration {
	if len(sights) == 0 {
		return 0
	}
	lags := make([]time.Duration, len(sights))
	for i, s := range sights {
		lags[i] = s.lag()
	}
	slices.Sort(lags)
	return lags[min(len(lags)-1, int(share*float64(len(lags))))]
}

// skips are the frames missing before each frame that others were skipped for. A
// frame that is damaged, repeated or out of order fails the test.
func skips(t *testing.T, sights []sight) (list []int) {
	t.Helper()
	for i, s := range sights {
		if !s.Intact {
			t.Errorf("frame %d is damaged", s.Seq)
		}
		if i == 0 {
			continue
		}
		switch ahead := int(s.Seq) - int(sights[i-1].Seq) - 1; {
		case ahead < 0:
			t.Errorf("frame %d comes after frame %d", s.Seq, sights[i-1].Seq)
		case ahead > 0 && !s.key:
			t.Errorf("frame %d comes after frame %d and is no keyframe", s.Seq, sights[i-1].Seq)
		case ahead > 0:
			list = append(list, ahead)
		}
	}
	return list
}

// TestLossyPath is the case loss of CASES: 5 % of all packets are lost between
// origin and edge, each way, and a round trip takes 100 ms. Every frame comes,
// 99 of 100 within a second.
func TestLossyPath(t *testing.T) {
	f := startFar(t, "delay 50ms loss 5%", farDomains)
	f.air(signal.DefaultConfig())
	w := f.watch()
	const counting = 15 * time.Second
	began := time.Now()
	<-time.After(counting)
	end := time.Now()
	waitFor(t, 10*time.Second, "the last frames", func() bool {
		seen := w.seen()
		return seen[len(seen)-1].Sent.After(end)
	})
	sights := w.seen()
	if lost := skips(t, sights); len(lost) > 0 {
		t.Errorf("loss: %v frames did not come", lost)
	}
	counted := between(sights, began, end)
	t.Logf("%d frames, lag p50 %v, p90 %v, p99 %v, max %v", len(counted), lagAt(counted, 0.5), lagAt(counted, 0.9),
		lagAt(counted, 0.99), lagAt(counted, 1))
	if len(counted) < 440 { // 30 a second
		t.Errorf("loss: %d frames of %v came", len(counted), counting)
	}
	if p99 := lagAt(counted, 0.99); p99 > time.Second {
		t.Errorf("loss: the p99 delay of frames is %v, want at most 1 s", p99)
	}
}
