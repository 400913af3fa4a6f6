package fanout

import (
	"testing"
	"time"

	"tmms/cluster/relay"
)

// Under load T stretches up to the limit and no further, every viewer still has
// its turn once in it, and it comes back when there is time again.
func TestFlushStretchesUnderLoad(t *testing.T) {
	hub := relay.NewHub()
	p := publish(t, hub).headers()
	p.group()
	var worked time.Duration
	r := newRig(t, hub)
	r.e = New(Config{Hub: hub, Busy: func() time.Duration { return worked }})
	opt := options(FLV)
	opt.FlushLimit = 350 * time.Millisecond
	sinks := make([]*fakeSink, 40)
	for i := range sinks {
		sinks[i] = &fakeSink{conn: fakeConn{room: -1}}
		if err := r.e.Attach(&sinks[i].v, &sinks[i].conn, sinks[i], opt, r.now); err != nil {
			t.Fatal(err)
		}
	}
	// run lets time pass with a share of it worked, and gives the fewest and most
	// turns that a viewer had.
	run := func(d time.Duration, share float64) (fewest, most int) {
		turns, sent := make([]int, len(sinks)), make([]int64, len(sinks))
		for end := r.now + d; r.now < end; {
			if r.now%(40*time.Millisecond) == 0 { // there is something to send in every slot
				p.all = nil
				p.frame(p.dts%1000 == 0)
			}
			worked += time.Duration(share * float64(Tick))
			r.run(Tick)
			for i, s := range sinks {
				if s.v.sent > sent[i] {
					turns[i]++
				}
				sent[i] = s.v.sent
			}
		}
		fewest = 1 << 30
		for _, n := range turns {
			fewest, most = min(fewest, n), max(most, n)
		}
		return fewest, most
	}
	run(time.Second, 0.3)
	if a, b := run(7*time.Second, 0.3); a < 69 || b > 72 {
		t.Errorf("%d to %d turns in 7 s with time to spare, want 70", a, b)
	}
	run(2*time.Second, 0.99)
	if a, b := run(7*time.Second, 0.99); a < 19 || b > 22 {
		t.Errorf("%d to %d turns in 7 s of overload, want 20: T is at most 350 ms", a, b)
	}
	if s := r.e.Stats().Stretch(); s != 3.5 {
		t.Errorf("stretched by %v, want 3.5", s)
	}
	run(4*time.Second, 0.3)
	if a, b := run(7*time.Second, 0.3); a < 69 || b > 72 {
		t.Errorf("%d to %d turns in 7 s after the load, want 70", a, b)
	}
	for i, s := range sinks {
		if s.leaves > 0 {
			t.Errorf("viewer %d has left: %v", i, s.left)
		}
	}
}

// Between the two thresholds T stays where it is.
func TestLoadHasHysteresis(t *testing.T) {
	var worked time.Duration
	l := load{busy: func() time.Duration { return worked }, factor: 1}
	at := time.Duration(0)
	run := func(share float64, rounds int) float64 {
		for range rounds {
			at += loadWindow
			worked += time.Duration(share * float64(loadWindow))
			l.look(at, 10)
		}
		return l.factor
	}
	if f := run(0.95, 3); f < 2 || f > 3 {
		t.Errorf("factor %v after three busy windows", f)
	}
	before := l.factor
	if f := run(0.8, 100); f != before {
		t.Errorf("factor %v in between, was %v", f, before)
	}
	if f := run(1, 100); f != 10 {
		t.Errorf("factor %v, want the most", f)
	}
	if f := run(0.1, 100); f != 1 {
		t.Errorf("factor %v, want 1", f)
	}
}
