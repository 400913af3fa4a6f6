package relay

import (
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	"tmms/media"
)

// What an attack may do to a node (CASES.md, hostile input).
const (
	peakGrowth    = 64 << 20 // bytes
	lastingGrowth = 8 << 20
)

// siege is a healthy subscription while somebody attacks one of its nodes.
type siege struct {
	t       *testing.T
	world   *world
	owner   *member
	edge    *member
	feeder  *feeder
	feed    *Feed
	stop    chan struct{}
	done    chan struct{}
	worst   time.Duration // of a frame from the owner's log to the edge's; read after done
	samples int           // read after done
}

// besiege starts a stream of 2 Mbit/s that an edge pulls from its owner.
func besiege(t *testing.T) *siege {
	t.Helper()
	w := newWorld(t)
	s := &siege{t: t, world: w, owner: w.start("a"), edge: w.join("b", PullConfig{})}
	s.feeder = s.owner.publish(key("a"), 7)
	s.feeder.size = 10_000
	s.feeder.frames(26)
	s.feed = s.edge.open(key("a"))
	t.Cleanup(s.feed.Close)
	s.feeder.caughtUp(s.feed)
	return s
}

// keepOn publishes until rest is called, and looks how long each frame takes.
func (s *siege) keepOn() (rest func()) {
	s.stop, s.done, s.worst, s.samples = make(chan struct{}), make(chan struct{}), 0, 0
	go func() {
		defer close(s.done)
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-tick.C:
			}
			s.feeder.frames(1)
			s.worst = max(s.worst, s.arrival(time.Now()))
			s.samples++
		}
	}()
	return func() {
		close(s.stop)
		<-s.done
	}
}

// arrival is how long after began the edge has the frame that was written last.
func (s *siege) arrival(began time.Time) time.Duration {
	want := media.Timestamp((s.feeder.frame - 1) * 40)
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for time.Since(began) < 10*time.Second {
		if live := s.feed.Live(); live != nil && live.LastDTS() >= want {
			break
		}
		<-poll.C
	}
	return time.Since(began)
}

// vitals are what a process holds.
type vitals struct {
	bytes      int64
	goroutines int
	fds        int
}

func look() vitals {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, _ := os.ReadDir("/proc/self/fd")
	return vitals{int64(m.HeapInuse + m.StackInuse), runtime.NumGoroutine(), len(fds)}
}

// settled is look with the garbage gone.
func settled() vitals {
	runtime.GC()
	runtime.GC()
	return look()
}

// peak samples the memory until stop is called.
func peak() (stop func() int64) {
	end, result := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		var most int64
		for {
			select {
			case <-end:
				result <- most
				return
			case <-tick.C:
				most = max(most, look().bytes)
			}
		}
	}()
	return func() int64 {
		close(end)
		return <-result
	}
}

// attack lets somebody attack for a while and looks what has become of the node
// and of the subscription. What the attack opens has to end with its context.
func (s *siege) attack(name string, lasts time.Duration, attack func(ctx context.Context)) {
	s.t.Helper()
	before, lived := settled(), s.feed.Live()
	rest, stop := s.keepOn(), peak()
	ctx, cancel := context.WithTimeout(s.t.Context(), lasts)
	attack(ctx)
	<-ctx.Done()
	cancel()
	most := stop()
	rest()
	if growth := most - before.bytes; growth > peakGrowth {
		s.t.Errorf("%s: memory grew by %d MiB, the limit is %d", name, growth>>20, peakGrowth>>20)
	}
	var after vitals
	eventually(s.t, name+": nothing is left behind", func() bool {
		after = settled()
		return after.goroutines <= before.goroutines+2 && after.fds <= before.fds && after.bytes-before.bytes <= lastingGrowth
	})
	s.t.Logf("%-14s memory %+5.1f MiB, %+5.1f after; goroutines %+d; %d frames, the slowest took %s", name,
		float64(most-before.bytes)/(1<<20), float64(after.bytes-before.bytes)/(1<<20), after.goroutines-before.goroutines,
		s.samples, s.worst.Round(time.Millisecond))
	if s.worst > 5*time.Second {
		s.t.Errorf("%s: a frame took %s", name, s.worst)
	}
	if s.feeder.caughtUp(s.feed) != lived {
		s.t.Errorf("%s: the life has changed", name)
	}
	s.whole(name)
	eventually(s.t, name+": one subscription", func() bool {
		return gauge(s.t, s.owner.registry, "tmms_relay_subscriptions") == 1
	})
	s.owner.server.tenants.mu.Lock()
	defer s.owner.server.tenants.mu.Unlock()
	if open := s.owner.server.tenants.streams; len(open) != 1 {
		s.t.Errorf("%s: streams %v", name, open)
	}
}

// whole checks that no packet is missing from the edge's log, or is there twice.
func (s *siege) whole(name string) {
	s.t.Helper()
	all := entries(s.feed.Live())
	for i := 1; i < len(all); i++ {
		a, b := all[i-1].ID, all[i].ID
		if next := b.Group == a.Group+1 && b.Index == 0; !next && (b.Group != a.Group || b.Index != a.Index+1) {
			s.t.Errorf("%s: %+v follows %+v", name, b, a)
		}
	}
}
