package timewheel

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"
)

// Ten million timers from one tick to 30 days fire once each, on time, and cost
// nothing but their entries.
//
// Requirement: S3
func TestTenMillionTimers(t *testing.T) {
	n := 10_000_000
	if testing.Short() {
		n = 200_000
	}
	const width = 100 * time.Millisecond
	w := New(width, 0)
	entries := make([]Entry, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range entries {
		at := width + time.Duration(r.Int64N(int64(30*day-width)))
		if i%2 == 0 { // half of them soon, as a loop's are
			at = width + time.Duration(r.Int64N(int64(time.Minute)))
		}
		w.Add(&entries[i], at)
	}
	fired, last := 0, time.Duration(0)
	var now time.Duration
	fire := func(*Entry) { fired++ }
	for w.Len() > 0 {
		next, ok := w.Next()
		if !ok || next <= last {
			t.Fatalf("Next is %v, %v after %v with %d left", next, ok, last, w.Len())
		}
		now, last = next, next
		w.Advance(now, fire)
	}
	if fired != n {
		t.Errorf("%d timers fired, want %d", fired, n)
	}
	if now > 30*day+2*width {
		t.Errorf("the last one fired at %v", now)
	}
}

// deadlines is the alternative of a binary heap.
type deadlines []*deadline

type deadline struct {
	at    time.Duration
	index int
}

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at < d[j].at }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}
func (d *deadlines) Push(x any) { *d = append(*d, x.(*deadline)) }
func (d *deadlines) Pop() any   { old := *d; x := old[len(old)-1]; *d = old[:len(old)-1]; return x }

// BenchmarkAlternatives is what a loop does with 10,000 connections all the time:
// one of them has read something, so its deadline moves to a minute from now.
func BenchmarkAlternatives(b *testing.B) {
	const n = 10_000
	b.Run("wheel", func(b *testing.B) {
		w := New(tick, 0)
		entries := make([]Entry, n)
		for i := range entries {
			w.Add(&entries[i], time.Minute+time.Duration(i)*time.Millisecond)
		}
		now := time.Duration(0)
		fire := func(*Entry) {}
		for i := 0; b.Loop(); i++ {
			now += time.Microsecond
			w.Extend(&entries[i*7919%n], now+time.Minute)
			if i%1000 == 0 {
				w.Advance(now, fire)
			}
		}
	})
	b.Run("container heap", func(b *testing.B) {
		var h deadlines
		all := make([]deadline, n)
		for i := range all {
			all[i].at = time.Minute + time.Duration(i)*time.Millisecond
			all[i].index = i
			h = append(h, &all[i])
		}
		heap.Init(&h)
		now := time.Duration(0)
		for i := 0; b.Loop(); i++ {
			now += time.Microsecond
			d := &all[i*7919%n]
			d.at = now + time.Minute
			heap.Fix(&h, d.index)
		}
	})
	b.Run("runtime timers", func(b *testing.B) {
		timers := make([]*time.Timer, n)
		for i := range timers {
			timers[i] = time.AfterFunc(time.Minute, func() {})
		}
		for i := 0; b.Loop(); i++ {
			timers[i*7919%n].Reset(time.Minute)
		}
		for _, t := range timers {
			t.Stop()
		}
	})
}
