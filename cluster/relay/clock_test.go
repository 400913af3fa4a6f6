package relay

import (
	"math/rand/v2"
	"testing"
	"time"
)

// clocks are two that drift apart, and the way between.
type clocks struct {
	r     *rand.Rand
	c     clock
	now   time.Time
	ahead time.Duration // the other's
	drift float64       // ppm
}

// exchange makes one sample over a way with a floor of 20 ms each way and queues
// of up to queue each.
func (w *clocks) exchange(queue time.Duration) bool {
	out := 20*time.Millisecond + time.Duration(w.r.Int64N(int64(queue)+1))
	back := 20*time.Millisecond + time.Duration(w.r.Int64N(int64(queue)+1))
	took := 300 * time.Microsecond
	sent := w.now.UnixMicro()
	arrived := w.now.Add(out + w.ahead).UnixMicro()
	answered := w.now.Add(out + took + w.ahead).UnixMicro()
	w.now = w.now.Add(out + took + back)
	s, ok := newClockSample(sent, arrived, answered, w.now, out+took+back)
	if !ok {
		return false
	}
	settled := w.c.add(s)
	pause := 2 * time.Second
	w.now = w.now.Add(pause)
	w.ahead += time.Duration(w.drift * pause.Seconds() * float64(time.Microsecond))
	return settled
}

// off is how wrong the estimate is, and whether its bound says so.
func (w *clocks) off(t *testing.T) time.Duration {
	t.Helper()
	offset, bound, ok := w.c.offset(w.now)
	if !ok {
		t.Fatal("there is no estimate")
	}
	d := time.Duration(offset)*time.Microsecond - w.ahead
	if d.Abs() > time.Duration(bound)*time.Microsecond+time.Millisecond {
		t.Fatalf("the estimate is %v off, its bound is %d us", d, bound)
	}
	return d.Abs()
}

func newClocks(seed uint64, ahead time.Duration, drift float64) *clocks {
	return &clocks{
		r: rand.New(rand.NewPCG(seed, seed)), now: time.Unix(1_700_000_000, 0), ahead: ahead, drift: drift,
	}
}

// TestClock: the estimate is as good as the shortest round trip, whatever queues
// there are, and its bound is never too small.
func TestClock(t *testing.T) {
	for seed := range uint64(20) {
		w := newClocks(seed, time.Duration(seed)*-7*time.Hour/3, float64(seed)-10)
		if _, _, ok := w.c.offset(w.now); ok {
			t.Fatal("an estimate of nothing")
		}
		for range 200 {
			if !w.exchange(80 * time.Millisecond) {
				t.Fatal("clocks that did not jump are suspected")
			}
			w.off(t)
		}
		if d := w.off(t); d > 25*time.Millisecond {
			t.Errorf("seed %d: %v off", seed, d)
		}
	}
}

// TestClockJumps (clock-jump): a clock that is set is noticed with the second
// sample, one sample that is wrong changes nothing.
func TestClockJumps(t *testing.T) {
	w := newClocks(1, time.Second, 0)
	for range 20 {
		w.exchange(5 * time.Millisecond)
	}
	for _, jump := range []time.Duration{time.Hour, -3 * time.Hour, 200 * time.Millisecond} {
		w.ahead += jump
		if w.exchange(5 * time.Millisecond) {
			t.Fatalf("%v: a jump is believed at once", jump)
		}
		if !w.exchange(5 * time.Millisecond) {
			t.Fatalf("%v: a jump is not believed", jump)
		}
		if d := w.off(t); d > 5*time.Millisecond {
			t.Errorf("%v off after a jump of %v", d, jump)
		}
	}
	ahead := w.ahead
	w.ahead += time.Hour
	w.exchange(0)
	w.ahead = ahead
	if !w.exchange(0) || w.off(t) > 5*time.Millisecond {
		t.Error("one wrong sample is believed")
	}
}

func TestClockSampleMakesSense(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for name, c := range map[string]struct {
		arrived, answered int64
		took              time.Duration
	}{
		"answered before it arrived":    {10, 9, time.Second},
		"took longer than the exchange": {0, 2_000_000, time.Second},
		"an exchange that never ends":   {0, 0, time.Hour},
	} {
		if s, ok := newClockSample(now.UnixMicro(), c.arrived, c.answered, now, c.took); ok {
			t.Errorf("%s: %+v", name, s)
		}
	}
	var none *clock
	if _, _, ok := none.offset(now); ok {
		t.Error("no clock has an offset")
	}
}
