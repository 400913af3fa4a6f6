package timewheel

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"time"
)

const (
	tick = 5 * time.Millisecond
	day  = 24 * time.Hour
)

// recorder remembers what fired, and when.
type recorder struct {
	now   time.Duration
	fired []*Entry
	at    []time.Duration
}

func (r *recorder) advance(w *Wheel, now time.Duration) int {
	r.now = now
	return w.Advance(now, func(e *Entry) {
		r.fired = append(r.fired, e)
		r.at = append(r.at, r.now)
	})
}

// Requirement: S3
func TestFiresOnceAndNeverEarly(t *testing.T) {
	// Around each border between levels, and with a phase that is no multiple of a tick.
	ticks := []int64{1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097, 1 << 18, 1<<18 + 1, 1 << 24, int64(30 * day / tick)}
	for _, origin := range []time.Duration{0, 3 * time.Millisecond, 17*day + 1} {
		for _, n := range ticks {
			w, rec, e := New(tick, origin), &recorder{}, &Entry{}
			// One nanosecond over n-1 ticks is tick n.
			w.Add(e, origin+time.Duration(n-1)*tick+1)
			due := origin + time.Duration(n)*tick
			if rec.advance(w, due-1); len(rec.fired) != 0 {
				t.Fatalf("origin %v, tick %d: fired a nanosecond early", origin, n)
			}
			if !e.Active() || w.Len() != 1 {
				t.Fatalf("origin %v, tick %d: not scheduled any more", origin, n)
			}
			if rec.advance(w, due); !slices.Equal(rec.fired, []*Entry{e}) || e.Active() {
				t.Fatalf("origin %v, tick %d: fired %d times at its deadline", origin, n, len(rec.fired))
			}
			if rec.advance(w, due+60*day); len(rec.fired) != 1 || w.Len() != 0 {
				t.Fatalf("origin %v, tick %d: fired again", origin, n)
			}
		}
	}
}

// Requirement: S3
func TestOneDeadlineFiresInOneTick(t *testing.T) {
	// All for tick 5,000, added at different times: they stand in different
	// levels until they meet. Half of them come to it by an extension.
	const deadline = 5000 * tick
	w, rec := New(tick, 0), &recorder{}
	var want []*Entry
	for now := time.Duration(0); now < deadline; now += 37 * tick {
		rec.advance(w, now)
		e := &Entry{}
		if len(want)%2 == 0 {
			w.Add(e, deadline)
		} else {
			w.Add(e, now+2*tick)
			w.Extend(e, deadline)
		}
		want = append(want, e)
	}
	if rec.advance(w, deadline-1); len(rec.fired) != 0 {
		t.Fatalf("%d fired early", len(rec.fired))
	}
	if n := rec.advance(w, deadline); n != len(want) {
		t.Fatalf("%d of %d fired in the tick of their deadline", n, len(want))
	}
	for _, e := range want {
		if !slices.Contains(rec.fired, e) {
			t.Fatal("one did not fire")
		}
	}
}

// Requirement: S4
func TestExtendedFiresOnceAtTheLastExtension(t *testing.T) {
	for _, timeout := range []time.Duration{tick, 10 * tick, time.Minute, 30 * day} {
		for _, k := range []int{1, 2, 100} {
			w, rec, e := New(tick, 0), &recorder{}, &Entry{}
			w.Add(e, timeout)
			now := time.Duration(0)
			for range k { // always before it would have fired
				now += timeout - 1
				rec.advance(w, now)
				if !w.Extend(e, now+timeout) {
					t.Fatalf("timeout %v: gone before extension at %v", timeout, now)
				}
			}
			last := now + timeout
			if rec.advance(w, last-1); len(rec.fired) != 0 {
				t.Fatalf("timeout %v, %d extensions: fired early", timeout, k)
			}
			if rec.advance(w, last+tick); len(rec.fired) != 1 {
				t.Fatalf("timeout %v, %d extensions: fired %d times a tick after", timeout, k, len(rec.fired))
			}
			if w.Extend(e, last+day) {
				t.Fatal("what has fired can be extended")
			}
		}
	}
}

// Requirement: S4
func TestExtendToAnEarlierTime(t *testing.T) {
	w, rec, e := New(tick, 0), &recorder{}, &Entry{}
	w.Add(e, day)
	w.Extend(e, time.Hour)
	w.Extend(e, 2*tick)
	if rec.advance(w, tick); len(rec.fired) != 0 {
		t.Fatal("fired early")
	}
	if rec.advance(w, 2*tick); len(rec.fired) != 1 {
		t.Fatal("the last deadline does not count")
	}
}

// Requirement: S4
func TestAMillionExtensionsTakeNoMemory(t *testing.T) {
	w, rec, e := New(tick, 0), &recorder{}, &Entry{}
	w.Add(e, time.Minute)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range 1_000_000 {
		now := time.Duration(i) * time.Microsecond
		w.Extend(e, now+time.Minute)
		w.Advance(now, func(*Entry) { t.Fatal("fired") })
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > 100 {
		t.Errorf("%d allocations", n)
	}
	if w.Len() != 1 {
		t.Errorf("Len is %d, want 1", w.Len())
	}
	if rec.advance(w, 2*time.Minute); len(rec.fired) != 1 {
		t.Errorf("fired %d times, want once", len(rec.fired))
	}
}

func TestNoAllocations(t *testing.T) {
	w, now := New(tick, 0), time.Duration(0)
	entries := make([]Entry, 100)
	fire := func(*Entry) {}
	if n := testing.AllocsPerRun(100, func() {
		for i := range entries {
			w.Add(&entries[i], now+time.Duration(i*i)*tick)
		}
		w.Extend(&entries[99], now+day)
		now += 5000 * tick
		w.Advance(now, fire)
		w.Cancel(&entries[99])
	}); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}

// Requirement: S4
func TestStopFiresNothing(t *testing.T) {
	w, rec := New(tick, 0), &recorder{}
	entries := make([]Entry, 200)
	for i := range entries {
		w.Add(&entries[i], time.Duration(i*i*i)*tick)
	}
	w.Stop()
	rec.advance(w, 100*day)
	if len(rec.fired) != 0 || w.Len() != 0 {
		t.Fatalf("%d fired, %d left", len(rec.fired), w.Len())
	}
	for i := range entries {
		if entries[i].Active() {
			t.Fatal("an entry still counts as scheduled")
		}
	}
	w.Add(&entries[0], 0)
	if _, ok := w.Next(); ok || entries[0].Active() {
		t.Fatal("a stopped wheel takes entries")
	}
}

// Requirement: S4
func TestStopWhileFiring(t *testing.T) {
	w := New(tick, 0)
	entries := make([]Entry, 10)
	for i := range entries {
		w.Add(&entries[i], time.Duration(1+i/5)*tick) // five in one tick, five in the next
	}
	if n := w.Advance(time.Second, func(*Entry) { w.Stop() }); n != 1 || w.Len() != 0 {
		t.Fatalf("%d fired, %d left", n, w.Len())
	}
}

// Requirement: S4
func TestAStallIsCaughtUpInOrder(t *testing.T) {
	for _, stall := range []int{2, 100, 10_000, 3_000_000} {
		w := New(tick, 0)
		entries := make([]Entry, 1000)
		for i := range entries {
			deadline := 1 + (i*7919)%stall
			entries[i].Owner = deadline
			w.Add(&entries[i], time.Duration(deadline)*tick)
		}
		var order []int
		if n := w.Advance(time.Duration(stall)*tick, func(e *Entry) { order = append(order, e.Owner.(int)) }); n != 1000 {
			t.Fatalf("stall of %d ticks: %d fired", stall, n)
		}
		if !slices.IsSorted(order) {
			t.Fatalf("stall of %d ticks: not in the order of deadlines", stall)
		}
	}
}

// Requirement: S4
func TestCascadesKeepThePhase(t *testing.T) {
	// A loop that sleeps until Next: what fires does so exactly on the grid,
	// however often it was put in anew on its way down.
	const origin = 2*time.Millisecond + 7
	w, rec := New(tick, origin), &recorder{}
	ticks := []int64{1, 63, 64, 100, 4000, 4096, 5000, 262143, 262144, 300000, 20_000_000}
	for _, n := range ticks {
		w.Add(&Entry{}, origin+time.Duration(n)*tick)
	}
	wakeUps := 0
	for at, ok := w.Next(); ok; at, ok = w.Next() {
		rec.advance(w, at)
		wakeUps++
	}
	for i, n := range ticks {
		if want := origin + time.Duration(n)*tick; rec.at[i] != want {
			t.Errorf("tick %d fired at %v, want %v", n, rec.at[i], want)
		}
	}
	if limit := len(ticks) * numLevels; wakeUps > limit {
		t.Errorf("%d wake-ups, want at most %d", wakeUps, limit)
	}
}

func TestCancel(t *testing.T) {
	w, rec := New(tick, 0), &recorder{}
	var a, b, c Entry
	w.Add(&a, 10*tick)
	w.Add(&b, 10*tick)
	w.Add(&c, 10*tick)
	if !w.Cancel(&b) || w.Cancel(&b) || b.Active() || w.Len() != 2 {
		t.Fatal("Cancel does not say or do what it should")
	}
	if rec.advance(w, time.Second); !slices.Equal(rec.fired, []*Entry{&a, &c}) {
		t.Fatalf("%d fired", len(rec.fired))
	}
	w.Add(&a, 2*time.Second)
	w.Cancel(&a)
	if _, ok := w.Next(); ok {
		t.Fatal("an empty wheel has a next time")
	}
}

func TestFireMayChangeEverything(t *testing.T) {
	w := New(tick, 0)
	var self, victim, later, fresh Entry
	w.Add(&self, tick)
	w.Add(&victim, tick)
	w.Add(&later, tick)
	fired := map[*Entry]int{}
	n := w.Advance(10*tick, func(e *Entry) {
		fired[e]++
		w.Add(e, 0) // itself, in the past: not again in this Advance
		w.Cancel(&victim)
		w.Extend(&later, 11*tick)
		w.Add(&fresh, 5*tick) // between the deadline and the target
		w.Advance(time.Hour, func(*Entry) { t.Error("Advance within Advance") })
	})
	if n != 1 || fired[&self] != 1 {
		t.Fatalf("%d fired", n)
	}
	n = w.Advance(11*tick, func(e *Entry) { fired[e]++ })
	if n != 3 || fired[&self] != 2 || fired[&later] != 1 || fired[&fresh] != 1 || fired[&victim] != 0 {
		t.Fatalf("%d fired: self %d, later %d, fresh %d, victim %d", n, fired[&self], fired[&later], fired[&fresh],
			fired[&victim])
	}
}

func TestExtremeTimes(t *testing.T) {
	for _, origin := range []time.Duration{0, -day, day} {
		for _, width := range []time.Duration{1, tick, math.MaxInt64} {
			w, rec, e := New(width, origin), &recorder{}, &Entry{}
			w.Add(e, math.MaxInt64)
			w.Next()
			w.Extend(e, math.MinInt64)
			w.Next()
			w.Add(e, 7)
			rec.advance(w, math.MinInt64)
			rec.advance(w, 6)
			rec.advance(w, math.MaxInt64)
			if width != math.MaxInt64 && len(rec.fired) != 1 {
				t.Errorf("origin %v, tick %v: fired %d times", origin, width, len(rec.fired))
			}
		}
	}
}

func TestTimeDoesNotGoBack(t *testing.T) {
	w, rec, e := New(tick, 0), &recorder{}, &Entry{}
	rec.advance(w, 100*tick)
	rec.advance(w, 50*tick)
	w.Add(e, 0)
	if at, _ := w.Next(); at != 101*tick {
		t.Fatalf("next is %v, want %v", at, 101*tick)
	}
}

func TestPauseBoundsAnAdvance(t *testing.T) {
	w := New(tick, 0)
	var entries [8]Entry
	for i := range entries {
		w.Add(&entries[i], tick) // all in one slot
	}
	var order []*Entry
	fire := func(e *Entry) {
		if order = append(order, e); len(order)%3 == 0 {
			w.Pause()
		}
	}
	const now = 5 * tick
	if n := w.Advance(now, fire); n != 3 {
		t.Fatalf("%d fired, want 3", n)
	}
	if next, ok := w.Next(); !ok || next > now {
		t.Errorf("Next is %v, %v though entries are due", next, ok)
	}
	// What is left can be cancelled, extended and added to.
	w.Cancel(&entries[3])
	w.Extend(&entries[4], time.Hour)
	w.Add(&entries[0], 0)
	for range 3 {
		w.Advance(now, fire)
	}
	want := []*Entry{&entries[0], &entries[1], &entries[2], &entries[5], &entries[6], &entries[7], &entries[0]}
	if !slices.Equal(order, want) {
		t.Errorf("fired %d, out of order or not what was left", len(order))
	}
	if next, ok := w.Next(); !ok || next <= now || w.Len() != 1 {
		t.Errorf("Next is %v, %v, Len %d: the extended one is left", next, ok, w.Len())
	}
	w.Pause() // outside of Advance it does nothing
	if n := w.Advance(time.Hour, fire); n != 1 {
		t.Errorf("%d fired, want 1", n)
	}
}
