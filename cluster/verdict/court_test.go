package verdict

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"tmms/media"
)

const (
	ms   = time.Millisecond
	term = 10 * time.Second
)

// watched is a court at 100 s that has just heard three nodes.
func watched() *Court {
	c := New(Config{Self: "self", Term: term}, 0)
	run(c, 0, 100*time.Second, "a", "b", "e")
	return c
}

// run lets time pass from one to another, in which the nodes of alive are heard and
// renew their leases.
func run(c *Court, from, to time.Duration, alive ...string) {
	for now := from; now <= to; now += 100 * ms {
		c.Tick(now)
		for _, id := range alive {
			c.Renewed(id, now)
		}
	}
}

// TestStarting: the last word of a node counts, and what else is heard of it does not.
func TestStarting(t *testing.T) {
	c := watched()
	c.Starts("nobody", true) // of whom nothing was heard
	c.Starts("a", true)
	c.Heard("a", 101*time.Second)
	if !c.Starting("a") || c.Starting("b") || c.Starting("nobody") {
		t.Errorf("starting: a %t, b %t, nobody %t", c.Starting("a"), c.Starting("b"), c.Starting("nobody"))
	}
	if c.Starts("a", false); c.Starting("a") {
		t.Error("it has started")
	}
	c.Report("a", "b", Report{Starting: true}, 101*time.Second)
	if !c.Starting("a") || c.Starting("b") {
		t.Errorf("said as a witness: a %t, b %t", c.Starting("a"), c.Starting("b"))
	}
}

// TestVerdict: what makes a node dead, and what does not. "a" has been silent since 100 s.
func TestVerdict(t *testing.T) {
	silent := Report{Known: true, Silent: Silence, Media: Never}
	for _, c := range []struct {
		name    string
		after   time.Duration // of silence
		reports map[string]Report
		want    Path
	}{
		{"seen by two", Silence, map[string]Report{"b": silent}, BySilence},
		{"not silent for long enough", Silence - ms, map[string]Report{"b": silent}, Alive},
		{"seen by the judge alone", 3 * time.Second, nil, Alive},
		{"another one hears it", Silence, map[string]Report{"b": {Known: true, Silent: 200 * ms, Media: Never}}, Alive},
		{"another one never had a session with it", Silence, map[string]Report{"b": {Silent: time.Hour, Media: Never}}, Alive},
		{"it speaks for itself", Silence, map[string]Report{"a": silent}, Alive},
		{"the judge is no second witness", Silence, map[string]Report{"self": silent}, Alive},
		{"a subscriber gets media", Silence, map[string]Report{"b": silent, "e": {Media: 400 * ms}}, Alive},
		{"the witness itself gets media", Silence, map[string]Report{"b": {Known: true, Silent: Silence, Media: 900 * ms}}, Alive},
		{"media came before that", Silence, map[string]Report{"b": silent, "e": {Known: true, Silent: Silence, Media: 1100 * ms}}, BySilence},
		{"two witnesses, one deaf", Silence, map[string]Report{"b": silent, "e": {Media: Never}}, BySilence},
		{"nobody renews it", term + ms, nil, ByLease},
		{"a veto does not replace the lease", term + ms, map[string]Report{"b": silent, "e": {Media: 0}}, ByLease},
	} {
		t.Run(c.name, func(t *testing.T) {
			court := watched()
			now := 100*time.Second + c.after
			run(court, 100*time.Second+100*ms, now, "b", "e")
			court.Tick(now)
			for from, r := range c.reports {
				court.Report(from, "a", r, now)
			}
			if got := court.Verdict("a", now); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			want := []string{"a"}
			if c.want == Alive {
				want = nil
			}
			if got := court.Dead(now); !slices.Equal(got, want) {
				t.Errorf("dead are %q", got)
			}
			if !court.Suspect("a", now) || court.Suspect("b", now) || court.Suspect("self", now) {
				t.Error("claims against a are not held, or others are")
			}
			if got := court.Doubts(now); !slices.Equal(got, []string{"a"}) {
				t.Errorf("doubts are %q", got)
			}
		})
	}
}

// TestReportsEnd: a report counts for a second, and only for the silence that it is about.
func TestReportsEnd(t *testing.T) {
	silent := Report{Known: true, Silent: Silence, Media: Never}
	at := 100*time.Second + Silence
	court := watched()
	run(court, 100*time.Second+100*ms, at)
	court.Report("b", "a", silent, at)
	if court.Verdict("a", at) != BySilence {
		t.Fatal("not dead")
	}
	if got := court.Verdict("a", at+ReportLife+ms); got != Alive {
		t.Errorf("%q by an old report", got)
	}
	court.Report("b", "a", silent, at+100*ms)
	court.Heard("a", at+200*ms)
	later := at + 200*ms + Silence
	run(court, at+100*ms, later)
	if got := court.Verdict("a", later); got != Alive {
		t.Errorf("%q by a report about an earlier silence", got)
	}
	if court.Report("b", "b", silent, later); len(court.nodes["b"].reports) != 0 {
		t.Error("a node reports on itself")
	}
}

// TestGap: whoever stood still finds nobody dead for what it did not hear meanwhile.
// Case: sigstop-15s.
func TestGap(t *testing.T) {
	silent := Report{Known: true, Silent: 15 * time.Second, Media: Never}
	court := watched()
	now := 115 * time.Second
	if !court.Tick(now) {
		t.Fatal("a gap of 15 s is none")
	}
	for _, id := range []string{"a", "b", "e"} {
		for _, from := range []string{"a", "b", "e"} {
			court.Report(from, id, silent, now)
		}
	}
	if dead := court.Dead(now); dead != nil {
		t.Errorf("%q are dead after a gap", dead)
	}
	if court.Suspect("a", now) || court.Age("a", now) != 0 {
		t.Error("a is suspect")
	}
	// From here on all goes as ever.
	end := now + Silence
	run(court, now, end)
	court.Report("b", "a", silent, end)
	if got := court.Verdict("a", end); got != BySilence {
		t.Errorf("%q long after the gap", got)
	}
}

// TestNewLeader: what a node heard as a follower counts, leases begin anew.
func TestNewLeader(t *testing.T) {
	now := 100 * time.Second
	court := New(Config{Self: "self", Term: term}, now)
	court.Heard("a", now-2*time.Second)
	court.Report("b", "a", Report{Known: true, Silent: 2 * time.Second, Media: Never}, now)
	if court.Verdict("a", now) != BySilence || court.Verdict("never heard of", now) != Alive {
		t.Error("the new leader knows nothing, or too much")
	}
	if got := court.Verdict("never heard of", now+term+ms); got != ByLease {
		t.Errorf("%q after a term", got)
	}
}

// TestBounds: neither nodes nor reports grow beyond their limits, and old nodes go.
func TestBounds(t *testing.T) {
	court := New(Config{Term: term, MaxNodes: 3}, 0)
	for i, id := range []string{"a", "b", "c", "d"} {
		if court.Renewed(id, 0) != (i < 3) {
			t.Errorf("node %s", id)
		}
		court.Heard(id, 0)
	}
	for i := range 2 * media.MaxReports {
		court.Report(strconv.Itoa(i), "a", Report{}, 2*time.Second)
		court.Report("x", "nobody knows", Report{}, 2*time.Second)
	}
	if got := len(court.nodes["a"].reports); got != media.MaxReports || len(court.nodes) != 3 {
		t.Errorf("%d reports of %d nodes", got, len(court.nodes))
	}
	court.Renewed("a", time.Hour)
	court.Forget(time.Minute, time.Hour)
	if len(court.nodes) != 1 || court.nodes["a"] == nil {
		t.Errorf("%d nodes are remembered", len(court.nodes))
	}
}

func TestLeases(t *testing.T) {
	at := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	c := New(Config{Term: term}, at(100))
	lapsed := func(s float64) bool { return c.Verdict("n", at(s)) == ByLease }
	if lapsed(110) {
		t.Error("a new leader does not give a full term")
	}
	if !lapsed(110.1) {
		t.Error("an unheard node keeps its lease")
	}
	if !c.Renewed("n", at(105)) || lapsed(115) || !lapsed(115.1) {
		t.Error("a renewal does not give a term")
	}
	c.GrantAll(at(120))
	if lapsed(130) || !lapsed(130.1) {
		t.Error("after a grant there is no full term")
	}
	// A gap that makes silences begin anew gives nobody a new lease: a judge that is
	// starved all the time would find nobody dead.
	for _, x := range []struct {
		gap  float64
		want bool
	}{{1, true}, {3, false}} {
		c = New(Config{Term: term}, 0)
		for s := 0.0; s < 10; s += 0.1 {
			c.Tick(at(s))
		}
		c.Tick(at(10 + x.gap))
		if got := lapsed(10 + x.gap); got != x.want {
			t.Errorf("after a gap of %g s: %v", x.gap, got)
		}
	}
}
