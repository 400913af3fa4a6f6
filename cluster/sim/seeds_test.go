package sim

import (
	"flag"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	seeds = flag.Uint64("seeds", 0, "number of seeds to run (0: some)")
	first = flag.Uint64("first", 0, "the first of them")
	one   = flag.Uint64("seed", 0, "run this one alone, and show what happens (0: no)")
)

// tally is what the runs have come to.
type tally struct {
	mu     sync.Mutex
	found  *Result // the failure of the lowest seed
	worst  Result  // recovery
	fast   Result  // with the leader alive
	slower Result  // the leader was killed
	sum    Result
	runs   int
}

func (t *tally) add(r Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs++
	t.sum.Nodes += r.Nodes
	t.sum.Events += r.Events
	t.sum.Commands += r.Commands
	t.sum.Takeovers += r.Takeovers
	t.sum.Lax += r.Lax
	t.sum.Relieved += r.Relieved
	if r.Failure != "" && (t.found == nil || r.Seed < t.found.Seed) {
		t.found = &r
	}
	if r.Recovery > t.worst.Recovery {
		t.worst = r
	}
	fast := &t.fast
	if r.Elected {
		fast = &t.slower
	}
	if r.FastPath > fast.FastPath {
		*fast = r
	}
}

// runSeeds runs seeds on all processors, to the end or to the first failure.
func runSeeds(from, count uint64, rules Rules) *tally {
	t := &tally{}
	var next atomic.Uint64
	var over atomic.Bool
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < count && !over.Load(); i = next.Add(1) - 1 {
				r := Run(from+i, rules)
				t.add(r)
				if r.Failure != "" {
					over.Store(true)
				}
			}
		})
	}
	wg.Wait()
	return t
}

func (r *Result) String() string {
	return fmt.Sprintf("seed %d (%d nodes): %s\n%s\nagain: make sim SEED=%d", r.Seed, r.Nodes, r.Failure, r.Trace, r.Seed)
}

// TestSeeds breaks clusters in as many ways as there are seeds; see the package's
// text for what must hold.
// Case: partition, sigstop-15s, clock-jump, kill-origin.
func TestSeeds(t *testing.T) {
	if *one != 0 {
		r := Run(*one, Rules{Story: true})
		t.Logf("%+v", &r)
		if r.Failure != "" {
			t.Fail()
		}
		return
	}
	count := *seeds
	switch {
	case count > 0:
	case testing.Short():
		count = 30
	default:
		count = 100
	}
	began := time.Now()
	got := runSeeds(*first, count, Rules{})
	if got.found != nil {
		t.Fatal(got.found)
	}
	took := time.Since(began)
	t.Logf("%d seeds in %s, %.0f a second: %d nodes, %d events, %d commands, %d takeovers (%d from an owner "+
		"that had gone on without its standby, %d for the sake of loads)", got.runs, took.Round(time.Millisecond),
		float64(got.runs)/took.Seconds(), got.sum.Nodes, got.sum.Events, got.sum.Commands, got.sum.Takeovers, got.sum.Lax, got.sum.Relieved)
	t.Logf("a killed owner's streams are elsewhere within %s (seed %d), if it led too within %s (seed %d)",
		got.fast.FastPath.Round(time.Millisecond), got.fast.Seed, got.slower.FastPath.Round(time.Millisecond), got.slower.Seed)
	t.Logf("all is well within %s of the end of all faults (seed %d)", got.worst.Recovery, got.worst.Seed)
	if got.fast.FastPath == 0 || got.slower.FastPath == 0 || got.sum.Takeovers == 0 || got.sum.Relieved == 0 {
		t.Error("nothing was measured")
	}
}

// A seed gives the same run each time, or a failure could not be looked at again.
func TestSeedsRepeat(t *testing.T) {
	for seed := range uint64(6) {
		a, b := Run(seed, Rules{Story: true}), Run(seed, Rules{Story: true})
		if !reflect.DeepEqual(a, b) {
			t.Errorf("seed %d: %+v, then %+v", seed, a, b)
		}
		if c := Run(seed+1, Rules{Story: true}); c.Trace == a.Trace {
			t.Errorf("seeds %d and %d are the same run", seed, seed+1)
		}
	}
}

// There are clusters of hundreds of nodes among them.
func TestHundredsOfNodes(t *testing.T) {
	for seed := range uint64(1000) {
		if w := newWorld(seed, Rules{}); len(w.nodes) < 200 {
			continue
		}
		if r := Run(seed, Rules{}); r.Failure != "" {
			t.Error(&r)
		}
		return
	}
	t.Error("no seed of a thousand has 200 nodes")
}
