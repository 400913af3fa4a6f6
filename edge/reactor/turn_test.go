//go:build linux

package reactor

import (
	"bytes"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// most is the largest work of any turn, kind by kind.
func (w *work) most(o work) {
	w.events, w.accepts, w.bytes = max(w.events, o.events), max(w.accepts, o.accepts), max(w.bytes, o.bytes)
	w.messages, w.timers, w.closed = max(w.messages, o.messages), max(w.timers, o.timers), max(w.closed, o.closed)
}

// A loop that is flooded with every kind of work at once does a bounded amount
// of each in a turn, gets on with all of them, and loses nothing.
func TestFloodedLoop(t *testing.T) {
	const senders, flood, timers, posts, resets, idle = 16, 4 << 20, 20_000, 50_000, 500, 1500
	cfg := testConfig()
	cfg.MailboxSize = posts
	var received atomic.Int64
	var opened, closed, fired, posted, ticks atomic.Int32
	g := start(t, cfg, func(*Conn) Protocol {
		opened.Add(1)
		return &hooked{
			data:   func(_ *Conn, b []byte) { received.Add(int64(len(b))) },
			closed: func(*Conn, error) { closed.Add(1) },
		}
	})
	l := g.loop()
	quiet := make([]net.Conn, idle)
	for i := range quiet {
		quiet[i] = g.dial()
	}
	var peak work
	hold, held := make(chan struct{}), make(chan struct{})
	onLoop(t, l, func() {
		l.inspect = func(t turn) { peak.most(t.work) }
		l.OnTick(func(time.Duration) bool { ticks.Add(1); return true })
		for range timers {
			l.NewTimer(func() { fired.Add(1) }).Set(time.Millisecond)
		}
	})
	l.Post(func() { close(held); <-hold })
	receive(t, held)
	for range posts - 1 {
		l.Post(func() { posted.Add(1) })
	}
	l.Post(func() { posted.Add(1); l.slab.each(func(c *Conn) { c.Close(errStop) }) }) // all at once
	for _, c := range quiet {
		send(t, c, []byte("x"))
	}
	close(hold)
	eventually(t, "the quiet ones are closed", func() bool { return closed.Load() >= idle })
	var wg sync.WaitGroup
	for range senders {
		c := g.dial()
		wg.Go(func() { send(t, c, make([]byte, flood)) })
	}
	for range 4 {
		wg.Go(func() {
			for range resets / 4 {
				c := g.dial()
				_ = c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		})
	}
	wg.Wait()
	eventually(t, "every byte is read", func() bool { return received.Load() >= senders*flood })
	eventually(t, "every timer has fired", func() bool { return fired.Load() == timers })
	eventually(t, "every function has run", func() bool { return posted.Load() == posts })
	eventually(t, "those that were reset are gone", func() bool {
		return opened.Load() == idle+senders+resets && closed.Load() == idle+resets
	})
	onLoop(t, l, func() { l.inspect = nil })
	for _, k := range []struct {
		name        string
		most, limit int
	}{
		{"events", peak.events, maxEvents},
		{"accepts", peak.accepts, acceptBatch},
		{"bytes", peak.bytes, 2 * (readBytes + cfg.ReadBudget)},
		{"messages", peak.messages, cfg.MailboxBatch},
		{"timers", peak.timers, timerBatch},
		{"closed", peak.closed, closeBatch},
	} {
		if k.most == 0 || k.most > k.limit {
			t.Errorf("a turn had %d %s, the limit is %d", k.most, k.name, k.limit)
		}
	}
	if ticks.Load() == 0 {
		t.Error("the hooks were starved")
	}
}

// What a phase leaves when its time is up comes first in the next turn, in order.
func TestAPhaseEndsWithItsTime(t *testing.T) {
	g := start(t, testConfig(), echo)
	l := g.loop()
	var order []int
	var turns []uint64
	slow := func(i int) func() {
		return func() {
			order, turns = append(order, i), append(turns, l.count.turns)
			for end := l.reactor.clock() + timerSlice; l.reactor.clock() < end; {
				_, _ = unix.Poll(nil, 1)
			}
		}
	}
	done := make(chan struct{})
	onLoop(t, l, func() {
		for i := range 3 {
			l.NewTimer(slow(i)).Set(0)
		}
		l.NewTimer(func() { close(done) }).Set(0)
	})
	receive(t, done)
	if !slices.Equal(order, []int{0, 1, 2}) || slices.Compact(slices.Clone(turns))[0] != turns[0] ||
		len(slices.Compact(slices.Clone(turns))) != 3 {
		t.Errorf("fired %v in turns %v, want each in a turn of its own", order, turns)
	}
	s := l.Stats()
	if s.LongestTurn < timerSlice || sum(s.TurnTimes[:]) == 0 {
		t.Errorf("longest turn %v, %d turns", s.LongestTurn, sum(s.TurnTimes[:]))
	}
}

func sum(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func TestTurnTimesAndOverruns(t *testing.T) {
	r, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer closeReactor(t, r)
	l := r.Loops()[0]
	l.turning.spent[PhaseTimers] = time.Millisecond
	for _, took := range []time.Duration{50 * time.Microsecond, Overrun, Overrun + 1, 2 * time.Second} {
		l.sort(took)
	}
	s := l.Stats()
	if s.TurnTimes[0] != 1 || s.TurnTimes[11] != 1 || s.TurnTimes[12] != 1 || s.TurnTimes[turnBuckets] != 1 {
		t.Errorf("buckets %v", s.TurnTimes)
	}
	if s.Overruns[PhaseTimers] != 2 || sum(s.Overruns[:]) != 2 {
		t.Errorf("overruns %v, want two by timers", s.Overruns)
	}
	bounds := TurnBounds()
	if !slices.IsSorted(bounds[:]) || !slices.Contains(bounds[:], Overrun) {
		t.Errorf("bounds %v", bounds)
	}
	if Phase(0).String() != "wait" || len(Phases()) != int(numPhases)-1 {
		t.Error("phases are not named")
	}
	var names []string
	for _, p := range Phases() {
		names = append(names, p.String())
	}
	if got := strings.Join(names, " "); got != "dispatch mailbox timers hooks close" {
		t.Errorf("phases %s", got)
	}
}

// The watch tells of long turns now and then, and of a loop that is stuck once.
func TestWatch(t *testing.T) {
	r, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer closeReactor(t, r)
	l := r.Loops()[0]
	l.thread.Store(1) // as if it ran
	defer l.thread.Store(0)
	var out bytes.Buffer
	w := newWatch(r.Loops(), slog.New(slog.NewTextHandler(&out, nil)))
	says := func(now time.Duration, want ...string) {
		t.Helper()
		out.Reset()
		w.look(now)
		for _, s := range want {
			if !strings.Contains(out.String(), s) {
				t.Errorf("at %v it says %q, want %q", now, out.String(), s)
			}
		}
		if len(want) == 0 && out.Len() > 0 {
			t.Errorf("at %v it says %q", now, out.String())
		}
	}
	says(time.Hour) // it waits for an event
	l.turning.spent[PhaseHooks] = 25 * time.Millisecond
	l.sort(30 * time.Millisecond)
	l.sort(40 * time.Millisecond)
	l.sort(35 * time.Millisecond)
	says(time.Hour, "took too long", "turns=3", "longest=40ms", "phase=hooks", "phase_took=25ms", "loop=0")
	l.sort(50 * time.Millisecond)
	says(time.Hour + time.Second)
	says(time.Hour+overrunPause, "turns=1", "longest=50ms")
	says(time.Hour + 3*overrunPause)

	const began = 2 * time.Hour
	l.published.place.Store(placeOf(PhaseMailbox, began))
	says(began + stuckAfter/2)
	says(began+stuckAfter, "is stuck", "phase=mailbox", "for=1s")
	says(began + 2*stuckAfter)
	l.published.place.Store(placeOf(PhaseWait, began+time.Minute))
	says(began+3*stuckAfter, "goes on")
	says(began + time.Minute)
	says(began+time.Minute+stuckAfter, "is stuck", "phase=wait") // the wake-up did not come
}

// Overdue shows a turn that does not end while it lasts.
func TestOverdue(t *testing.T) {
	g := start(t, testConfig(), echo)
	hold, held := make(chan struct{}), make(chan struct{})
	g.loop().Post(func() { close(held); <-hold })
	receive(t, held)
	eventually(t, "the loop is overdue", func() bool { return g.loop().Stats().Overdue >= 20*time.Millisecond })
	close(hold)
	eventually(t, "the loop waits again", func() bool { return g.loop().Stats().Overdue == 0 })
	eventually(t, "the turn is counted", func() bool { return g.loop().Stats().Overruns[PhaseMailbox] == 1 })
}
