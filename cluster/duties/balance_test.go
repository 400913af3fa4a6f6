package duties

import (
	"fmt"
	"testing"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// busy is a cluster whose nodes have something to do, and its leader.
type busy struct {
	*cluster

	d     *Duties
	loads map[string]Busy
	now   time.Duration
}

func newBusy(t *testing.T, loads map[string]uint8) *busy {
	t.Helper()
	b := &busy{cluster: newCluster(t, state.Level, "n1", "n2", "n3"), d: New(0), loads: map[string]Busy{}}
	for id, l := range loads {
		b.loads[id] = Busy{Load: l}
	}
	return b
}

// placed is a stream that was claimed and has stayed where it is.
func (b *busy) placed(name, owner, standby string) {
	b.t.Helper()
	b.apply(state.Claim{Key: state.Key(key(name)), Node: owner, AtUnixMS: 5})
	b.to(name, standby, true)
}

// to gives a stream another standby.
func (b *busy) to(name, standby string, inSync bool) {
	b.t.Helper()
	p, _ := b.s.Placement(key(name))
	b.apply(state.SetStandby{Key: state.Key(key(name)), Epoch: p.Epoch, From: p.Standby, To: standby, InSync: inSync})
}

// pass lets time pass, twice a second a look, and gives what is decided meanwhile,
// which comes into force.
func (b *busy) pass(d time.Duration) (moves []state.Move, choices []state.SetStandby) {
	b.t.Helper()
	for end := b.now + d; b.now < end; b.now += 500 * time.Millisecond {
		m := b.at(b.now)
		m.Busy = b.loads
		m.AtUnixMS = 7 + b.now.Milliseconds()
		mv, ch := b.d.Balance(m)
		for _, c := range mv {
			b.apply(c)
		}
		for _, c := range ch {
			b.apply(c)
		}
		moves, choices = append(moves, mv...), append(choices, ch...)
	}
	return moves, choices
}

// An origin that has had too much to do for a while gives streams to standbys that
// have clearly less, one after another, and keeps its last one.
func TestBalance(t *testing.T) {
	b := newBusy(t, map[string]uint8{"n1": overload, "n2": 100, "n3": 90})
	for i := range 4 {
		b.placed(fmt.Sprint("s", i), "n1", []string{"n2", "n3"}[i%2])
	}
	if moves, _ := b.pass(ReliefTime); len(moves) != 0 {
		t.Fatalf("a peak: %+v", moves)
	}
	moves, choices := b.pass(ReliefTime)
	if len(moves) != 1 || moves[0].To != "n3" || len(choices) != 0 {
		t.Fatalf("%+v, %+v", moves, choices)
	}
	if moves, _ = b.pass(5 * time.Minute); len(moves) != 2 {
		t.Fatalf("not all but one: %+v", moves)
	}
	if moves, _ = b.pass(20 * time.Minute); len(moves) != 0 {
		t.Errorf("its last: %+v", moves)
	}
}

// What keeps a stream where it is.
func TestBalanceKeeps(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(b *busy)
	}{
		{"a load below", func(b *busy) { b.loads["n1"] = Busy{Load: overload - 1} }},
		{"no clear margin", func(b *busy) { b.loads["n2"] = Busy{Load: overload - reliefMargin + 1} }},
		{"a load that is not known", func(b *busy) { delete(b.loads, "n2") }},
		{"a standby that is not in sync", func(b *busy) { b.to("a", "n2", false); b.to("b", "n2", false) }},
		{"a standby that is drained", func(b *busy) { b.apply(state.SetDrain{Node: "n2", On: true}) }},
		{"an owner that is drained", func(b *busy) { b.apply(state.SetDrain{Node: "n1", On: true}) }},
		{"a standby in doubt", func(b *busy) { b.c.suspect = []string{"n2"} }},
		{"an owner in doubt", func(b *busy) { b.c.suspect = []string{"n1"} }},
		{"a dead standby", func(b *busy) { b.c.dead = []string{"n2"} }},
		{"one stream", func(b *busy) {
			p, _ := b.s.Placement(key("b"))
			b.apply(state.Release{Key: state.Key(key("b")), Epoch: p.Epoch})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBusy(t, map[string]uint8{"n1": overload, "n2": 50, "n3": overload})
			b.placed("a", "n1", "n2")
			b.placed("b", "n1", "n2")
			tc.change(b)
			if moves, choices := b.pass(time.Minute); len(moves)+len(choices) != 0 {
				t.Errorf("%+v, %+v", moves, choices)
			}
		})
	}
	b := newBusy(t, map[string]uint8{"n1": overload, "n2": 50})
	b.placed("a", "n1", "n2")
	b.placed("b", "n1", "n2")
	for range 10 { // it has too much to do now and then
		b.loads["n1"] = Busy{Load: overload}
		b.pass(ReliefTime)
		b.loads["n1"] = Busy{Load: 10}
		if moves, _ := b.pass(time.Second); len(moves) != 0 {
			t.Fatalf("peaks: %+v", moves)
		}
	}
}

// A stream that has had another owner stays for ten minutes, and a new leader begins
// to count anew: no wall clock is asked.
func TestBalanceRests(t *testing.T) {
	b := newBusy(t, map[string]uint8{"n1": overload, "n2": 50})
	b.placed("a", "n1", "n2")
	b.placed("b", "n1", "n2")
	first, _ := b.pass(time.Minute)
	if len(first) != 1 {
		t.Fatalf("%+v", first)
	}
	moved := media.StreamKey(first[0].Key)
	b.loads["n1"], b.loads["n2"] = Busy{Load: 20}, Busy{Load: 250} // now it is too much there
	b.to(moved.Stream, "n1", true)
	b.placed("c", "n2", "n1")
	began := b.now
	if moves, _ := b.pass(time.Minute); len(moves) != 1 || moves[0].Key != state.Key(key("c")) {
		t.Fatalf("not the one that has stayed: %+v", moves)
	}
	b.placed("d", "n2", "n1")
	b.loads["n1"] = Busy{Load: 200} // so d, which has stayed, stays
	b.pass(4 * time.Minute)
	b.loads["n1"] = Busy{Load: 20}
	b.to("d", "n3", true)
	b.d = New(0)
	if moves, _ := b.pass(MoveRest - time.Minute); len(moves) != 0 {
		t.Fatalf("%s after its last move: %+v", b.now-began, moves)
	}
	if moves, _ := b.pass(2 * time.Minute); len(moves) != 1 || media.StreamKey(moves[0].Key) != moved {
		t.Errorf("after its rest: %+v", moves)
	}
}

// Where all standbys are on nodes that are full too, a few streams get another one, and
// go there once that is in sync.
func TestBalanceRedirects(t *testing.T) {
	b := newBusy(t, map[string]uint8{"n1": 230, "n2": 220, "n3": 10})
	for i := range 5 {
		b.placed(fmt.Sprint("s", i), "n1", "n2")
	}
	moves, choices := b.pass(20 * time.Second)
	if len(moves) != 0 || len(choices) != 1 || choices[0].To != "n3" || choices[0].From != "n2" {
		t.Fatalf("%+v, %+v", moves, choices)
	}
	if moves, choices = b.pass(15 * time.Second); len(moves)+len(choices) != 0 {
		t.Fatalf("while one is about to be in sync: %+v, %+v", moves, choices)
	}
	chosen := media.StreamKey(choices0(b, "n3"))
	b.to(chosen.Stream, "n3", true)
	if moves, _ = b.pass(10 * time.Second); len(moves) != 1 || media.StreamKey(moves[0].Key) != chosen {
		t.Fatalf("%+v, not %s", moves, chosen)
	}
	if _, choices = b.pass(30 * time.Minute); len(choices) == 0 || len(choices) > 12 {
		t.Errorf("%d more choices", len(choices))
	}
}

// choices0 is the stream that a node stands by for.
func choices0(b *busy, standby string) state.Key {
	for _, p := range b.s.StandbyOf(standby) {
		return state.Key(p.Key)
	}
	b.t.Fatalf("%s stands by for nothing", standby)
	return state.Key{}
}

// Many streams go faster than few, and no more than the limit at a time.
func TestBalanceShare(t *testing.T) {
	b := newBusy(t, map[string]uint8{"n1": 250, "n2": 10})
	for i := range 40 * reliefShare / 4 {
		b.placed(fmt.Sprint("s", i), "n1", "n2")
	}
	if moves, _ := b.pass(ReliefTime + time.Second); len(moves) != media.MaxReliefMoves {
		t.Errorf("%d moves at a time", len(moves))
	}
}
