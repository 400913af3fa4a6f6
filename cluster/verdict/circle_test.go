package verdict

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tmms/media"
)

// inDoubt is a court that has heard nothing from "a" for a doubt's length, and edges.
func inDoubt(edges int) (c *Court, ids []string, now time.Duration) {
	c = watched()
	for i := range edges {
		ids = append(ids, fmt.Sprintf("e%04d", i))
	}
	now = 100*time.Second + Doubt
	run(c, 100*time.Second+100*ms, now, "b")
	return c, ids, now
}

// ask is a round in which every edge answers what said gives, and b that it hears
// nothing.
func ask(c *Court, edges []string, now time.Duration, said func(edge string) Report) (asked []string) {
	about := []string{"a"}
	asked = c.Round(about, edges, now)
	c.Report("b", "a", Report{Known: true, Silent: now - 100*time.Second, Media: Never}, now)
	for _, id := range asked {
		c.Report(id, "a", said(id), now)
		c.Asked(id, about, true)
	}
	return asked
}

func never(string) Report { return Report{Media: Never} }

// TestCircle: before anybody is found dead by silence each edge was asked, wherever
// among them the one is that knows better; its veto does not grow old meanwhile.
func TestCircle(t *testing.T) {
	const edges = 1000
	for _, sole := range []int{-1, 0, 255, 256, 600, edges - 1} {
		c, ids, now := inDoubt(edges)
		said := func(edge string) Report {
			if sole >= 0 && edge == ids[sole] {
				return Report{Media: 900 * ms}
			}
			return Report{Media: Never}
		}
		counts := map[string]int{}
		for end := now + 8*time.Second; now < end; now += 200 * ms {
			c.Tick(now)
			asked := ask(c, ids, now, said)
			if len(asked) > media.MaxWitnessEdges {
				t.Fatalf("%d are asked in a round", len(asked))
			}
			for _, id := range asked {
				counts[id]++
			}
			if got := c.Verdict("a", now); got != Alive {
				if sole >= 0 || len(counts) < edges {
					t.Fatalf("%s after %s, %d edges were asked; the one that gets media is %d", got, now-100*time.Second, len(counts), sole)
				}
				break
			}
		}
		switch {
		case sole < 0 && now > 100*time.Second+Silence+400*ms: // four rounds, of which the last are after Silence
			t.Errorf("all were asked, and it is dead only after %s", now-100*time.Second)
		case len(counts) != edges:
			t.Errorf("%d edges were asked", len(counts))
		case sole >= 0 && counts[ids[sole]] < 30:
			t.Errorf("who vetoes was asked %d times", counts[ids[sole]])
		}
	}
}

// TestCircleLimit: with more edges than can be asked the verdict does not wait for ever,
// nor for edges that do not answer, or are gone.
func TestCircleLimit(t *testing.T) {
	c, ids, now := inDoubt(media.MaxNodes)
	for ; now < 110*time.Second && c.Verdict("a", now) == Alive; now += 400 * ms {
		c.Tick(now - 200*ms)
		c.Tick(now)
		ask(c, ids, now, never)
	}
	if took := now - 100*time.Second; took < Silence+CircleLimit || took > Silence+CircleLimit+400*ms {
		t.Errorf("it is dead after %s", took)
	}

	c, ids, now = inDoubt(10)
	about := []string{"a"}
	for round := range circleTries {
		if got := c.Round(about, ids, now); len(got) != 10 || !c.Circling(about) {
			t.Fatalf("round %d: %d are asked", round, len(got))
		}
		for _, id := range ids[:5] {
			c.Asked(id, about, false)
		}
	}
	if !c.Circling(about) {
		t.Error("those that were not asked are not waited for")
	}
	for range 2 { // the others are gone
		c.Round(about, ids[:5], now)
	}
	if c.Circling(about) {
		t.Error("it waits for edges that do not answer")
	}
}

// TestCircleBegins: each doubt has a circle of its own; once it is closed some edges
// are asked, in turn.
func TestCircleBegins(t *testing.T) {
	c, ids, now := inDoubt(300)
	about := []string{"a", "nobody knows"}
	if first := ask(c, ids, now, never); len(first) != media.MaxWitnessEdges || !c.Circling(about) {
		t.Fatalf("%d", len(first))
	}
	if second := ask(c, ids, now, never); len(second) != 300-media.MaxWitnessEdges || c.Circling(about) {
		t.Fatalf("%d", len(second))
	}
	seen := map[string]bool{}
	for range 10 {
		later := ask(c, ids, now, never)
		if len(later) != media.WitnessEdges {
			t.Fatalf("%d are asked once all were", len(later))
		}
		for _, id := range later {
			seen[id] = true
		}
	}
	if len(seen) != 300 {
		t.Errorf("%d edges have their turn", len(seen))
	}
	c.Heard("a", now+100*ms)
	run(c, now+100*ms, now+2*time.Second)
	if got := ask(c, ids, now+2*time.Second, never); len(got) != media.MaxWitnessEdges || !slices.IsSorted(got) {
		t.Errorf("in the next doubt %d are asked", len(got))
	}
	if c.Round(nil, nil, now) != nil {
		t.Error("nobody is asked about nobody")
	}
}

// TestVetoHasRoom: however many reports there are, a veto is heard.
func TestVetoHasRoom(t *testing.T) {
	c, _, now := inDoubt(0)
	for i := range media.MaxReports + 10 {
		c.Report(fmt.Sprintf("w%04d", i), "a", Report{Known: true, Silent: Silence, Media: Never}, now)
	}
	now += Silence - Doubt
	c.Report("late", "a", Report{Media: 0}, now)
	if got := c.Verdict("a", now); got != Alive || len(c.nodes["a"].reports) != media.MaxReports {
		t.Errorf("%q, %d reports", got, len(c.nodes["a"].reports))
	}
	now += ReportLife + ms // all are old
	if c.Report("new", "a", Report{Known: true, Silent: Silence, Media: Never}, now); c.Verdict("a", now) != BySilence {
		t.Error("old reports keep new ones out")
	}
}
