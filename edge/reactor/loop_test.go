//go:build linux

package reactor

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Requirement: S3
func TestTimersFireOnTheLoopAndNeverEarly(t *testing.T) {
	type shot struct {
		thread  int
		elapsed time.Duration
	}
	const after = 20 * time.Millisecond
	shots := make(chan shot, 10)
	loopThread := make(chan int, 1)
	var set time.Duration
	g := start(t, testConfig(), func(c *Conn) Protocol {
		loopThread <- unix.Gettid()
		set = c.Loop().Now()
		c.SetTimer(time.Millisecond)
		c.SetTimer(after)
		return &hooked{timer: func(c *Conn) { shots <- shot{unix.Gettid(), c.Loop().Now() - set} }}
	})
	g.dial()
	thread := receive(t, loopThread)
	s := receive(t, shots)
	if s.thread != thread {
		t.Errorf("fired on thread %d, the loop's is %d", s.thread, thread)
	}
	if s.elapsed < after {
		t.Errorf("fired after %v, want at least %v", s.elapsed, after)
	}
	onLoop(t, g.loop(), func() {})
	if len(shots) != 0 {
		t.Error("fired twice")
	}
}

func TestStopTimer(t *testing.T) {
	fired := make(chan string, 3)
	g := start(t, testConfig(), func(c *Conn) Protocol {
		c.SetTimer(time.Millisecond)
		c.StopTimer()
		stopped := c.Loop().NewTimer(func() { fired <- "stopped" })
		stopped.Set(time.Millisecond)
		stopped.Stop()
		last := c.Loop().NewTimer(func() { fired <- "last" })
		last.Set(20 * time.Millisecond)
		if stopped.Active() || !last.Active() {
			t.Error("Active is wrong")
		}
		return &hooked{timer: func(*Conn) { fired <- "connection" }}
	})
	g.dial()
	if s := receive(t, fired); s != "last" {
		t.Errorf("%s timer fired", s)
	}
}

func TestPost(t *testing.T) {
	r, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	l := r.Loops()[0]
	if l.Index() != 0 {
		t.Errorf("index %d", l.Index())
	}
	var order []int
	done := make(chan struct{})
	for i := range 1000 { // more than a batch; before Run
		if !l.Post(func() {
			if order = append(order, i); i == 999 {
				close(done)
			}
		}) {
			t.Fatal("refused")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- r.Run(ctx) }()
	receive(t, done)
	if len(order) != 1000 || !slices.IsSorted(order) {
		t.Error("not once each in order")
	}
	cancel()
	if err = receive(t, result); err != nil {
		t.Error(err)
	}
}

// What was posted before the end runs, once.
func TestPostBeforeTheEnd(t *testing.T) {
	g := start(t, testConfig(), echo)
	hold, held := make(chan struct{}), make(chan struct{})
	g.loop().Post(func() { close(held); <-hold })
	receive(t, held)
	var ran atomic.Int32
	for range 100 {
		g.loop().Post(func() { ran.Add(1) })
	}
	g.loop().stop(errStop)
	close(hold)
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	if ran.Load() != 100 {
		t.Errorf("%d of 100 ran", ran.Load())
	}
}

func TestFullMailbox(t *testing.T) {
	cfg := testConfig()
	cfg.MailboxSize = 8
	g := start(t, cfg, echo)
	hold, held := make(chan struct{}), make(chan struct{})
	g.loop().Post(func() { close(held); <-hold })
	receive(t, held)
	ran := make(chan int, 100)
	accepted := 0
	for i := range 20 {
		if g.loop().Post(func() { ran <- i }) {
			accepted++
		}
	}
	if accepted != 8 {
		t.Errorf("%d taken, want 8", accepted)
	}
	if n := g.loop().Stats().MailboxDrops; n != 12 {
		t.Errorf("%d drops counted, want 12", n)
	}
	close(hold)
	for i := range 8 {
		if n := receive(t, ran); n != i {
			t.Errorf("%d ran as number %d", n, i)
		}
	}
	onLoop(t, g.loop(), func() {}) // there is room again
}

func TestMailboxWakesOnce(t *testing.T) {
	wakes := 0
	b := newMailbox(10, func() { wakes++ })
	for range 5 {
		b.put(message{})
	}
	if wakes != 1 {
		t.Errorf("%d wake-ups for 5 messages", wakes)
	}
	b.open()
	b.put(message{})
	if wakes != 2 {
		t.Errorf("%d wake-ups, want one more after the loop has looked", wakes)
	}
}

func TestHooksKeepTheGrid(t *testing.T) {
	const rounds = 40
	cfg := testConfig()
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := r.Loops()[0]
	var calls []time.Duration
	ctx, cancel := context.WithCancel(t.Context())
	l.OnTick(func(now time.Duration) bool {
		calls = append(calls, now)
		if len(calls) == 10 { // a turn that takes long: several cells are missed
			for r.clock() < now+4*cfg.Tick {
				_, _ = unix.Poll(nil, 1)
			}
		}
		if len(calls) == rounds {
			cancel()
		}
		return true
	})
	l.Post(func() {}) // something happens: the hooks start
	if err = r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	cell := func(i int) int64 { return int64(calls[i] / cfg.Tick) }
	for i := 1; i < len(calls); i++ {
		if cell(i) <= cell(i-1) {
			t.Errorf("called twice in cell %d", cell(i))
		}
	}
	if missed := cell(10) - cell(9); missed < 4 {
		t.Errorf("%d cells went by during a turn of 4 ticks", missed)
	}
	if least := time.Duration(rounds-2) * cfg.Tick; calls[len(calls)-1]-calls[0] < least {
		t.Errorf("%d calls in %v: late ticks are piled up", rounds, calls[len(calls)-1]-calls[0])
	}
	if l.Stats().MaxLateness < 2*cfg.Tick {
		t.Errorf("lateness is %v after a turn of 4 ticks", l.Stats().MaxLateness)
	}
}

func TestAnIdleLoopSleeps(t *testing.T) {
	g := start(t, testConfig(), echo)
	hooks := 0
	onLoop(t, g.loop(), func() {
		g.loop().OnTick(func(time.Duration) bool { hooks++; return false })
		g.loop().NewTimer(func() {}).Set(time.Hour)
	})
	c := g.dial()
	send(t, c, []byte("x"))
	expect(t, c, "x")
	var turns uint64
	quiet := 0
	eventually(t, "100 ms without a turn", func() bool { // 50 polls of 2 ms
		if now := g.loop().Stats().Turns; now != turns {
			turns, quiet = now, 0
		}
		quiet++
		return quiet > 50
	})
	before := 0
	onLoop(t, g.loop(), func() { before = hooks })
	if before == 0 {
		t.Error("bytes did not lead to a hook")
	}
	after := make(chan int, 1)
	onLoop(t, g.loop(), func() { g.loop().Wake() })
	eventually(t, "a hook after a wake-up", func() bool {
		g.loop().Post(func() {
			select {
			case after <- hooks:
			default:
			}
		})
		return receive(t, after) > before
	})
}

func TestStats(t *testing.T) {
	g := start(t, testConfig(), echo)
	c := g.dial()
	send(t, c, []byte("12345"))
	expect(t, c, "12345")
	eventually(t, "the turn is recorded", func() bool {
		s := g.loop().Stats()
		return s.BytesReceived == 5 && s.BytesSent == 5 && s.Conns == 1 && s.Accepted == 1 && s.Turns > 0 &&
			s.Busy > 0 && s.BusyRatio > 0 && s.BusyRatio <= 1
	})
}

func TestBusyRatioLooksBackSeconds(t *testing.T) {
	r, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer closeReactor(t, r)
	l := r.Loops()[0]
	// Two hours ago by the reactor's clock it began, busy; now it is not.
	r.started = time.Now().Add(-2 * time.Hour)
	for at := time.Duration(0); at < 2*time.Hour-10*time.Second; at += time.Second {
		l.record(at, at+time.Second)
	}
	if s := l.Stats(); s.BusyRatio > 0.2 || s.Busy < time.Hour {
		t.Errorf("ratio %v after 10 s of rest, busy %v", s.BusyRatio, s.Busy)
	}
	for at := 2*time.Hour - 10*time.Second; at < 2*time.Hour; at += 100 * time.Millisecond {
		l.record(at, at+50*time.Millisecond)
	}
	if s := l.Stats(); s.BusyRatio < 0.4 || s.BusyRatio > 0.6 {
		t.Errorf("ratio %v, want a half", s.BusyRatio)
	}
}

func TestABrokenEngineEndsTheReactor(t *testing.T) {
	cfg := testConfig()
	cfg.Loops = 3
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	r.Loops()[1].Post(func() { r.Loops()[1].fail(broken) })
	if err = r.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Run: %v", err)
	}
}
