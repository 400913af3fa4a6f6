package shape

import (
	"bytes"
	"math"
	"testing"
	"time"
)

func newLine(t *testing.T, text string) *Line {
	t.Helper()
	p := DefaultParams()
	if err := p.Set(text); err != nil {
		t.Fatal(err)
	}
	l, err := NewLine(p, 1)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// arrival is a packet that came out.
type arrival struct {
	at    time.Duration
	first byte
	size  int
}

// drain takes out all packets as their times come, until end.
func drain(l *Line, end time.Duration) (all []arrival) {
	for {
		at, ok := l.Next()
		if !ok || at > end {
			return all
		}
		for b := l.Pop(at); b != nil; b = l.Pop(at) {
			all = append(all, arrival{at, b[0], len(b)})
		}
	}
}

func packetOf(first byte, size int) []byte {
	b := make([]byte, size)
	b[0] = first
	return b
}

const millisecond = time.Millisecond

func expect(t *testing.T, got []arrival, want ...arrival) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("packet %d: %v, want %v", i, got[i], want[i])
		}
	}
}

func TestDelay(t *testing.T) {
	l := newLine(t, "delay 50ms")
	if at, ok := l.Next(); ok {
		t.Errorf("an empty line has a packet at %v", at)
	}
	l.Push(0, packetOf(1, 100))
	l.Push(3*millisecond, packetOf(2, 1500))
	if b := l.Pop(50*millisecond - 1); b != nil {
		t.Errorf("a packet came out early")
	}
	expect(t, drain(l, time.Hour), arrival{50 * millisecond, 1, 100}, arrival{53 * millisecond, 2, 1500})
	want := Counters{Offered: 2, OfferedBytes: 1600, Forwarded: 2, ForwardedBytes: 1600}
	if got := l.Counters(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestLateness(t *testing.T) {
	l := newLine(t, "delay 5ms")
	for i := range 3 {
		l.Push(0, packetOf(byte(i), 100))
	}
	l.Pop(6 * millisecond)
	l.Pop(6*millisecond + 1)
	l.Pop(9 * millisecond)
	if c := l.Counters(); c.Late != 2 || c.MostLate != 4*millisecond {
		t.Errorf("%+v", c)
	}
}

// 1,000 bytes take 1 ms at 8 Mbit/s.
func TestRateAndQueue(t *testing.T) {
	l := newLine(t, "delay 10ms rate 8M queue 2")
	for i := range 5 { // one is sent, two wait, two find no room
		l.Push(0, packetOf(byte(i), 1000))
	}
	l.Push(1500*time.Microsecond, packetOf(5, 500)) // one has left the queue by then
	l.Push(20*millisecond, packetOf(6, 2000))
	expect(t, drain(l, time.Hour),
		arrival{11 * millisecond, 0, 1000}, arrival{12 * millisecond, 1, 1000}, arrival{13 * millisecond, 2, 1000},
		arrival{13*millisecond + 500*time.Microsecond, 5, 500}, arrival{32 * millisecond, 6, 2000})
	if c := l.Counters(); c.Dropped != 2 || c.Offered != 7 || c.Forwarded != 5 || c.Lost+c.Overflowed+c.Late != 0 {
		t.Errorf("%+v", c)
	}
}

func TestChangesWhileItRuns(t *testing.T) {
	set := func(t *testing.T, l *Line, now time.Duration, text string) {
		t.Helper()
		p := l.Params()
		if err := p.Set(text); err != nil {
			t.Fatal(err)
		}
		if err := l.Set(now, p); err != nil {
			t.Fatal(err)
		}
	}
	three := func(t *testing.T, text string) *Line {
		t.Helper()
		l := newLine(t, text)
		for i := range 3 {
			l.Push(0, packetOf(byte(i), 1000))
		}
		return l
	}
	t.Run("half of the rate", func(t *testing.T) {
		l := three(t, "rate 8M")
		set(t, l, 1500*time.Microsecond, "rate 4M") // half of the second is to be sent
		expect(t, drain(l, time.Hour), arrival{millisecond, 0, 1000}, arrival{2500 * time.Microsecond, 1, 1000},
			arrival{4500 * time.Microsecond, 2, 1000})
	})
	t.Run("no rate", func(t *testing.T) {
		l := three(t, "rate 8M delay 1ms")
		set(t, l, 1500*time.Microsecond, "rate 0")
		expect(t, drain(l, time.Hour), arrival{2 * millisecond, 0, 1000}, arrival{2500 * time.Microsecond, 1, 1000},
			arrival{2500 * time.Microsecond, 2, 1000})
	})
	t.Run("less delay", func(t *testing.T) {
		l := three(t, "delay 50ms")
		set(t, l, millisecond, "delay 1ms")
		l.Push(2*millisecond, packetOf(3, 10)) // it does not overtake
		l.Push(60*millisecond, packetOf(4, 10))
		expect(t, drain(l, time.Hour), arrival{50 * millisecond, 0, 1000}, arrival{50 * millisecond, 1, 1000},
			arrival{50 * millisecond, 2, 1000}, arrival{50 * millisecond, 3, 10}, arrival{61 * millisecond, 4, 10})
	})
	t.Run("a shorter queue", func(t *testing.T) {
		l := three(t, "rate 8M")
		set(t, l, 0, "queue 1")
		l.Push(0, packetOf(3, 1000))
		if got := drain(l, time.Hour); len(got) != 3 || l.Counters().Dropped != 1 {
			t.Errorf("%v, %+v", got, l.Counters())
		}
	})
	t.Run("a partition", func(t *testing.T) {
		l := three(t, "delay 5ms")
		set(t, l, 0, "loss 100%")
		l.Push(0, packetOf(3, 1000))
		if got := drain(l, time.Hour); len(got) != 3 || l.Counters().Lost != 1 {
			t.Errorf("%v, %+v", got, l.Counters())
		}
	})
	t.Run("refused", func(t *testing.T) {
		l := three(t, "delay 5ms")
		if err := l.Set(0, Params{}); err == nil {
			t.Error("a burst of 0 is taken")
		}
		if l.Params().Delay != 5*millisecond {
			t.Errorf("the parameters are %v now", l.Params())
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	for _, text := range []string{"delay 10s", "rate 8k queue 16384"} {
		l := newLine(t, text)
		for range maxHeld + 100 {
			l.Push(0, packetOf(1, 1500))
		}
		c := l.Counters()
		if c.Overflowed+c.Dropped != 100 || l.flight.size+l.waiting.size != maxHeld {
			t.Errorf("%s: %+v", text, c)
		}
	}
}

// In the long run the line makes no garbage, and packets keep their bytes.
func TestPacketsAreCopied(t *testing.T) {
	l := newLine(t, "delay 5ms rate 100M")
	now, in, out := time.Duration(0), byte(0), byte(0)
	data := make([]byte, 1000)
	step := func() {
		now += millisecond
		for i := range data {
			data[i] = in
		}
		l.Push(now, data)
		in++
		for b := l.Pop(now); b != nil; b = l.Pop(now) {
			if !bytes.Equal(b, bytes.Repeat([]byte{out}, 1000)) {
				t.Fatalf("packet %d came as %d", out, b[0])
			}
			out++
		}
	}
	for range 1000 {
		step()
	}
	if n := testing.AllocsPerRun(1000, func() { l.Push(now, data); now += millisecond; l.Pop(now) }); n > 0 {
		t.Errorf("%g allocations a packet", n)
	}
}

func TestLosses(t *testing.T) {
	for _, tc := range []struct {
		share float64
		burst int
	}{{0, 1}, {0.001, 1}, {0.01, 1}, {0.05, 1}, {0.5, 1}, {1, 1}, {0.01, 10}, {0.05, 10}, {0.5, 10}, {0.03, 1000}} {
		p := DefaultParams()
		p.Loss, p.Burst = tc.share, tc.burst
		l, err := NewLine(p, 7)
		if err != nil {
			t.Fatal(err)
		}
		const packets = 1_000_000
		run, odd := 0, 0 // of losses in a row; those that are no multiple of the burst
		for range packets {
			if l.losses.next(p.Loss, p.Burst) {
				l.count.Lost++
				run++
				continue
			}
			if run%tc.burst != 0 {
				odd++
			}
			run = 0
		}
		got := float64(l.count.Lost) / packets
		// Five standard deviations of that many bursts.
		spread := 5 * math.Sqrt(tc.share*(1-tc.share)*float64(tc.burst)/packets)
		if math.Abs(got-tc.share) > spread || odd > 0 {
			t.Errorf("loss %g in bursts of %d: %g, %d runs of another length", tc.share, tc.burst, got, odd)
		}
	}
}

func TestSeed(t *testing.T) {
	lost := func(seed uint64) (list []int) {
		l, err := NewLine(Params{Loss: 0.1, Burst: 1, Queue: 1}, seed)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			before := l.Counters().Lost
			l.Push(0, packetOf(0, 10))
			if l.Counters().Lost > before {
				list = append(list, i)
			}
		}
		return list
	}
	same := func(a, b []int) bool {
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				return false
			}
		}
		return len(a) == len(b)
	}
	if !same(lost(3), lost(3)) || same(lost(3), lost(4)) {
		t.Errorf("seed 3: %v and %v; seed 4: %v", lost(3), lost(3), lost(4))
	}
}

func TestJitter(t *testing.T) {
	for _, gap := range []time.Duration{100 * time.Microsecond, 3 * millisecond, 700 * millisecond} {
		l := newLine(t, "delay 50ms jitter 20ms")
		var sent []time.Duration
		for i := range 5000 {
			sent = append(sent, time.Duration(i)*gap)
			l.Push(sent[i], packetOf(byte(i), 10))
			if i%100 == 99 {
				checkJitter(t, sent[i-99:], drain(l, time.Hour), byte(i-99))
			}
		}
	}
}

// checkJitter looks whether delays wander within 30 to 70 ms and packets keep their order.
func checkJitter(t *testing.T, sent []time.Duration, got []arrival, first byte) {
	t.Helper()
	if len(got) != len(sent) {
		t.Fatalf("%d of %d came", len(got), len(sent))
	}
	for i, a := range got {
		if d := a.at - sent[i]; d < 30*millisecond || d > 70*millisecond || a.first != first+byte(i) {
			t.Fatalf("packet %d, %d of its hundred, has a delay of %v", a.first, i, d)
		}
	}
}

// The deviation has no bias, uses its range, and lets no packet overtake another.
func TestWander(t *testing.T) {
	l := newLine(t, "delay 50ms jitter 20ms")
	const steps = 1_000_000
	var sum, least, most, last time.Duration
	for i := range steps {
		d := l.wander.at(time.Duration(i)*millisecond, 20*millisecond)
		if d-last < -millisecond/2-1 {
			t.Fatalf("it falls from %v to %v in a millisecond", last, d)
		}
		sum, least, most, last = sum+d, min(least, d), max(most, d), d
	}
	if mean := sum / steps; mean < -millisecond || mean > millisecond || least > -19*millisecond || most < 19*millisecond {
		t.Errorf("%v..%v, mean %v", least, most, mean)
	}
}

func TestRing(t *testing.T) {
	var r ring
	in, out := 0, 0
	for round := range 500 {
		for range round % 13 {
			r.push(packet{at: time.Duration(in)})
			in++
		}
		for range min(r.size, round%11) {
			if got := r.first().at; got != r.pop().at || got != time.Duration(out) {
				t.Fatalf("packet %d is %d", out, got)
			}
			out++
		}
	}
	if in-out != r.size || r.size == 0 {
		t.Errorf("%d in, %d out, %d there", in, out, r.size)
	}
}
