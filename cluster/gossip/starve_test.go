package gossip

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patiently has a process that gets no processor for a while be suspected, not
// buried: about a second and a half, a third of what PresetLAN waits.
func patiently(c *Gossip) {
	c.settings.ProbeInterval, c.settings.ProbeTimeout = 300*time.Millisecond, 150*time.Millisecond
	c.settings.SuspicionMult = 5
}

// Nobody is taken for dead because the processors are busy, with a third of the time
// that the least patient preset outside tests gives: loops may take all of them.
func TestStarvedIsNotDead(t *testing.T) {
	a := startTuned(t, "n1", patiently)
	b := startTuned(t, "n2", patiently, joins(a.addr()))
	c := startTuned(t, "n3", patiently, joins(a.addr()))
	peers := []*peer{a, b, c}
	for _, p := range peers {
		p.awaitStates("n1:alive", "n2:alive", "n3:alive")
	}
	var over atomic.Bool
	var burning sync.WaitGroup
	for range 4 * runtime.GOMAXPROCS(0) {
		burning.Go(func() {
			for !over.Load() { //nolint:revive // it is to do nothing
			}
		})
	}
	timer := time.NewTimer(4 * time.Second) // more than twice what it takes to bury who is silent
	<-timer.C
	over.Store(true)
	burning.Wait()
	for _, p := range peers {
		if n := p.logs.count("member is gone"); n != 0 {
			t.Errorf("%s has taken %d for dead", p.self.Name, n)
		}
		if h := p.Health(); h < 0 || h > 8 {
			t.Errorf("%s: health score %d", p.self.Name, h)
		}
		p.awaitStates("n1:alive", "n2:alive", "n3:alive")
	}
}
