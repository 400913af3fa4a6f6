package verdict

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// model is the court as its rules say it: all that ever happened is kept, and looked
// through for each question.
type model struct {
	self    string
	term    time.Duration
	began   time.Duration
	ticks   []time.Duration
	renewed map[string][]time.Duration
	heard   map[string][]time.Duration
	reports []told
}

type told struct {
	from, about string
	report      Report
	at          time.Duration
}

// anew is the end of the last gap that was longer than this, or the beginning.
func (m *model) anew(gap time.Duration) time.Duration {
	last, anew := m.began, m.began
	for _, t := range m.ticks {
		if t-last > gap {
			anew = t
		}
		last = t
	}
	return anew
}

// silentSince is when the silence of a node began; false: it was never heard.
func (m *model) silentSince(id string) (time.Duration, bool) {
	if len(m.heard[id]) == 0 {
		return 0, false
	}
	since := slices.Max(m.heard[id])
	if anew := m.anew(MaxGap); anew != m.began {
		since = max(since, anew)
	}
	return since, true
}

func (m *model) verdict(id string, now time.Duration) Path {
	if id == m.self {
		return Alive
	}
	lease := m.anew(m.term / 4)
	if all := m.renewed[id]; len(all) > 0 {
		lease = max(lease, slices.Max(all))
	}
	if now-lease > m.term {
		return ByLease
	}
	since, known := m.silentSince(id)
	if !known || now-since < Silence {
		return Alive
	}
	last := map[string]told{}
	for _, r := range m.reports {
		if r.about == id && r.from != id && r.from != m.self && now-r.at <= ReportLife && r.at-since >= Doubt {
			last[r.from] = r
		}
	}
	witness := false
	for _, r := range last {
		if r.report.Media >= 0 && r.report.Media <= MediaVeto {
			return Alive
		}
		witness = witness || r.report.Known && r.report.Silent >= Silence
	}
	if witness {
		return BySilence
	}
	return Alive
}

// TestModel: whatever happens in whatever order, the court says what its rules say,
// and the rules keep what they promise.
func TestModel(t *testing.T) {
	ids := []string{"self", "a", "b", "c", "d"}
	verdicts := map[Path]int{}
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 7))
		m := &model{self: "self", term: 4 * time.Second, renewed: map[string][]time.Duration{}, heard: map[string][]time.Duration{}}
		c := New(Config{Self: m.self, Term: m.term}, 0)
		one := func() string { return ids[rng.IntN(len(ids))] }
		for now, step := time.Duration(0), 0; step < 120; step++ {
			now += time.Duration(rng.IntN(200)) * ms
			if rng.IntN(40) == 0 {
				now += time.Duration(400+rng.IntN(2000)) * ms // the judge stands still
			}
			gap := c.Tick(now)
			m.ticks = append(m.ticks, now)
			for range rng.IntN(6) {
				m.happen(c, rng, one, now)
			}
			for _, id := range ids {
				got, want := c.Verdict(id, now), m.verdict(id, now)
				if got != want {
					t.Fatalf("seed %d, step %d at %s: %s is %q, want %q", seed, step, now, id, got, want)
				}
				if got == BySilence && gap {
					t.Fatalf("seed %d at %s: %s is dead right after a gap", seed, now, id)
				}
				if got != Alive && !c.Suspect(id, now) {
					t.Fatalf("seed %d at %s: %s is %q and no suspect", seed, now, id, got)
				}
				if heard := m.heard[id]; got != Alive && len(heard) > 0 && now-slices.Max(heard) < Silence && len(m.renewed[id]) == 0 && got != ByLease {
					t.Fatalf("seed %d at %s: %s was heard just now", seed, now, id)
				}
				verdicts[got]++
			}
		}
	}
	for _, p := range []Path{Alive, BySilence, ByLease} {
		if verdicts[p] < 1000 {
			t.Errorf("%q was the verdict %d times: the model is not tried", p, verdicts[p])
		}
	}
}

// happen lets one thing happen to both.
func (m *model) happen(c *Court, rng *rand.Rand, one func() string, now time.Duration) {
	id := one()
	if id == "a" && rng.IntN(20) > 0 { // a is rarely heard
		m.report(c, rng, one(), id, now)
		return
	}
	switch rng.IntN(3) {
	case 0:
		c.Renewed(id, now)
		m.renewed[id] = append(m.renewed[id], now)
		m.hear(id, now)
	case 1:
		at := now - time.Duration(rng.IntN(2000))*ms
		c.Heard(id, at)
		m.hear(id, at)
	case 2:
		m.report(c, rng, one(), id, now)
	}
}

// hear ends a silence, and all that was said about it.
func (m *model) hear(id string, at time.Duration) {
	if all := m.heard[id]; len(all) > 0 && at <= slices.Max(all) {
		return
	}
	m.heard[id] = append(m.heard[id], at)
	m.reports = slices.DeleteFunc(m.reports, func(r told) bool { return r.about == id })
}

func (m *model) report(c *Court, rng *rand.Rand, from, about string, now time.Duration) {
	r := Report{Known: rng.IntN(4) > 0, Silent: time.Duration(rng.IntN(4000)) * ms, Media: Never}
	if rng.IntN(4) == 0 {
		r.Media = time.Duration(rng.IntN(3000)) * ms
	}
	c.Report(from, about, r, now)
	m.reports = append(m.reports, told{from, about, r, now})
}
