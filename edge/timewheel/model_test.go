package timewheel

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"
)

// model is the wheel as a table of deadlines: slow and plainly right. A pair of
// model and wheel goes through the same calls and must agree after each.
type model struct {
	t       *testing.T
	wheel   *Wheel
	tick    time.Duration
	origin  time.Duration
	now     time.Duration
	ticks   int64 // passed
	floor   int64 // earliest tick that may be chosen
	entries []Entry
	due     map[*Entry]int64
	quiet   bool // callbacks change nothing
	pauses  bool // callbacks pause the wheel now and then
	random  *rand.Rand
}

func newModel(t *testing.T, r *rand.Rand, tick time.Duration, n int) *model {
	t.Helper()
	origin := time.Duration(r.Int64N(int64(day)))
	return &model{
		t: t, wheel: New(tick, origin), tick: tick, origin: origin, now: origin,
		floor: 1, entries: make([]Entry, n), due: map[*Entry]int64{}, random: r,
	}
}

func (m *model) choose(at time.Duration) int64 {
	n := int64((at - m.origin + m.tick - 1) / m.tick)
	return max(n, m.floor)
}

func (m *model) add(e *Entry, at time.Duration) {
	m.wheel.Add(e, at)
	m.due[e] = m.choose(at)
}

func (m *model) extend(e *Entry, at time.Duration) {
	_, scheduled := m.due[e]
	if m.wheel.Extend(e, at) != scheduled {
		m.t.Fatalf("Extend says %v", !scheduled)
	}
	if scheduled {
		m.due[e] = m.choose(at)
	}
}

func (m *model) cancel(e *Entry) {
	_, scheduled := m.due[e]
	if m.wheel.Cancel(e) != scheduled {
		m.t.Fatalf("Cancel says %v", !scheduled)
	}
	delete(m.due, e)
}

func (m *model) advance(d time.Duration) {
	m.now += d
	target := int64((m.now - m.origin) / m.tick)
	m.floor = target + 1
	for paused := m.fire(target); paused; {
		paused = m.fire(target)
	}
	m.ticks = target
	m.check()
}

// fire is one Advance to a tick; paused tells that it did not get there.
func (m *model) fire(target int64) (paused bool) {
	calls, last := 0, int64(0)
	m.wheel.Advance(m.now, func(e *Entry) {
		if paused {
			m.t.Fatal("fired after Pause")
		}
		at, scheduled := m.due[e]
		switch {
		case !scheduled:
			m.t.Fatal("fired without being scheduled")
		case at > target:
			m.t.Fatalf("fired at tick %d, its deadline is %d", target, at)
		case at < last:
			m.t.Fatalf("fired %d after %d", at, last)
		}
		last = at
		delete(m.due, e)
		if calls++; calls <= 50 && !m.quiet {
			m.call()
		}
		if m.pauses && m.random.IntN(3) == 0 {
			paused = true
			m.wheel.Pause()
		}
	})
	return paused
}

// call makes a random call on a random entry, of a random time from 1 tick to
// 30 days, each order of magnitude alike.
func (m *model) call() {
	e := &m.entries[m.random.IntN(len(m.entries))]
	at := m.now + logUniform(m.random, m.tick, 30*day)
	switch m.random.IntN(5) {
	case 0, 1:
		m.add(e, at)
	case 2:
		m.extend(e, at)
	case 3:
		m.cancel(e)
	case 4: // in the past, or now
		m.add(e, m.now-time.Duration(m.random.Int64N(int64(m.tick))))
	}
}

func (m *model) check() {
	m.t.Helper()
	if m.wheel.Len() != len(m.due) {
		m.t.Fatalf("Len is %d, want %d", m.wheel.Len(), len(m.due))
	}
	first := int64(-1)
	for e, at := range m.due {
		if at <= m.ticks {
			m.t.Fatalf("deadline %d has not fired at tick %d", at, m.ticks)
		}
		if !e.Active() {
			m.t.Fatal("scheduled but not active")
		}
		if first < 0 || at < first {
			first = at
		}
	}
	next, ok := m.wheel.Next()
	switch due := m.origin + time.Duration(first)*m.tick; {
	case ok != (first >= 0):
		m.t.Fatalf("Next says %v with %d scheduled", ok, len(m.due))
	case ok && next > due:
		m.t.Fatalf("Next is %v, after the first deadline %v", next, due)
	case ok && next <= m.origin+time.Duration(m.ticks)*m.tick:
		m.t.Fatalf("Next is %v, which has passed", next)
	}
}

func logUniform(r *rand.Rand, lo, hi time.Duration) time.Duration {
	span := lo
	for span < hi && r.IntN(16) != 0 {
		span *= 2
	}
	return lo + time.Duration(r.Int64N(int64(min(span, hi))))
}

// Requirement: S3
// Requirement: S4
func TestAgainstTheModel(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 4))
		width := []time.Duration{time.Millisecond, tick, 7 * time.Microsecond, time.Second}[seed%4]
		m := newModel(t, r, width, 1+r.IntN(100))
		m.pauses = seed%3 == 0
		for range 2000 {
			switch r.IntN(4) {
			case 0:
				m.advance(logUniform(r, 1, time.Minute))
			case 1:
				m.advance(time.Duration(r.Int64N(int64(2 * width))))
			default:
				m.call()
			}
			m.check()
		}
		m.advance(31 * day) // a stall
		m.advance(31 * day)
		m.quiet = true
		for m.wheel.Len() > 0 { // as a loop does
			next, _ := m.wheel.Next()
			m.advance(next - m.now)
			m.cancel(&m.entries[r.IntN(len(m.entries))])
		}
	}
}

// FuzzWheel runs calls that the fuzzer chooses on wheel and model.
func FuzzWheel(f *testing.F) {
	f.Add(uint64(1), []byte{0, 1, 2, 3, 4, 5})
	f.Add(uint64(2), []byte{0, 0, 0, 4, 4, 250, 1, 4, 255})
	f.Add(uint64(3), []byte{0, 1, 200, 2, 0, 255, 255, 255})
	f.Fuzz(func(t *testing.T, seed uint64, script []byte) {
		m := newModel(t, rand.New(rand.NewPCG(seed, 0)), tick, 8)
		for _, b := range script[:min(len(script), 500)] {
			if b < 128 {
				m.call()
			} else {
				m.advance(time.Duration(1) << (b & 63 % 50))
			}
			m.check()
		}
	})
}

// BenchmarkExtend is the cost of one extension among n entries: it does not grow.
func BenchmarkExtend(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			w := New(tick, 0)
			entries := make([]Entry, n)
			for i := range entries {
				w.Add(&entries[i], time.Minute+time.Duration(i)*time.Millisecond)
			}
			now := time.Duration(0)
			for i := 0; b.Loop(); i++ {
				now += time.Microsecond
				w.Extend(&entries[i%n], now+time.Minute)
				w.Advance(now, func(*Entry) {})
			}
		})
	}
}
