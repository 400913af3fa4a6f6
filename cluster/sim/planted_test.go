package sim

import (
	"strings"
	"testing"
	"time"

	"tmms/cluster/duties"
	"tmms/cluster/state"
	"tmms/cluster/verdict"
	"tmms/media"
)

// broken is a state machine with a mistake: what it is told to do, it does as rewrite
// says.
type broken struct {
	*state.State

	rewrite func(s *state.State, c state.Command) []state.Command
}

// Apply implements [Machine]: all commands come into force at the index, the result is
// that of the last.
func (b broken) Apply(index uint64, command []byte) (result any, err error) {
	c, err := state.Decode(command)
	if err != nil {
		return nil, err
	}
	for _, c := range b.rewrite(b.State, c) {
		bytes, err := state.Encode(c)
		if err != nil {
			return nil, err
		}
		if result, err = b.State.Apply(index, bytes); err != nil {
			return nil, err
		}
	}
	return result, nil
}

func machine(rewrite func(s *state.State, c state.Command) []state.Command) func() Machine {
	return func() Machine { return broken{state.New(), rewrite} }
}

// inSync says before a command that standbys have everything, whether they have or not.
func inSync(s *state.State, c state.Command) []state.Command {
	var list []state.Command
	if f, ok := c.(state.FailOver); ok {
		for _, p := range s.Placements() {
			if p.Owner == f.Node && p.Standby != "" {
				list = append(list, state.SetStandby{
					Key: state.Key(p.Key), Epoch: p.Epoch, From: p.Standby, To: p.Standby, InSync: true,
				})
			}
		}
	}
	return append(list, c)
}

// snatch lets a claim take the stream of another node.
func snatch(s *state.State, c state.Command) []state.Command {
	if claim, ok := c.(state.Claim); ok {
		for _, p := range s.Placements() {
			if state.Key(p.Key) == claim.Key && p.Owner != claim.Node {
				return []state.Command{state.ExpireNode{Node: p.Owner, MaxEpoch: p.Epoch, AtUnixMS: claim.AtUnixMS}, c}
			}
		}
	}
	return []state.Command{c}
}

// forget lets a stream begin anew where it should go on: it is released before a
// claim.
func forget(s *state.State, c state.Command) []state.Command {
	if claim, ok := c.(state.Claim); ok {
		for _, p := range s.Placements() {
			if state.Key(p.Key) == claim.Key && p.Orphan() {
				return []state.Command{state.Release{Key: claim.Key, Epoch: p.Epoch}, c}
			}
		}
	}
	return []state.Command{c}
}

// leave lets the streams of a node that has started again wait for a claim, whether they
// have a standby or not.
func leave(m duties.Moment, c state.FailOver) state.FailOver {
	m.View.RangePlacements(func(_ media.StreamKey, p state.Placement) bool {
		c.Except = append(c.Except, p.Standby)
		return true
	})
	return c
}

// nobody lets every claim have its orphan.
func nobody(duties.Moment, state.Claim) (move state.Move, ok bool) { return move, false }

// forgetful is a court that gives nobody a lease at its beginning.
type forgetful struct {
	*verdict.Court

	known map[string]bool
}

func (f forgetful) Renewed(id string, now time.Duration) bool {
	f.known[id] = true
	return f.Court.Renewed(id, now)
}

func (f forgetful) Verdict(id string, now time.Duration) verdict.Path {
	if !f.known[id] {
		return verdict.ByLease
	}
	return f.Court.Verdict(id, now)
}

// hasty is a court that is content with its own silence, and with a short one.
type hasty struct{ *verdict.Court }

func (h hasty) Verdict(id string, now time.Duration) verdict.Path {
	if h.Silent(id, now) > verdict.Silence/2 {
		return verdict.BySilence
	}
	return h.Court.Verdict(id, now)
}

// patient is a court that never finds anybody dead.
type patient struct{ *verdict.Court }

func (patient) Verdict(string, time.Duration) verdict.Path { return verdict.Alive }

// trusting is a court that believes nobody who says that it starts.
type trusting struct{ *verdict.Court }

func (trusting) Starting(string) bool { return false }

// restless moves every stream whose standby has less to do, at once and each time.
func restless(_ *duties.Duties, m duties.Moment) (moves []state.Move, none []state.SetStandby) {
	m.View.RangePlacements(func(key media.StreamKey, p state.Placement) bool {
		if p.InSync && m.Busy[p.Standby].Load < m.Busy[p.Owner].Load {
			moves = append(moves, state.Move{Key: state.Key(key), Epoch: p.Epoch, To: p.Standby, AtUnixMS: m.AtUnixMS})
		}
		return true
	})
	return moves, none
}

// plantedSeeds is within how many seeds a mistake has to be found.
const plantedSeeds = 500

// Mistakes that were planted are found, most of them by the rule that they break.
func TestPlantedMistakes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		rules Rules
		first uint64   // seed: near to one that finds it
		found []string // one of these
	}{
		{"fail-over-to-any-standby", Rules{Machine: machine(inSync)}, 95, []string{"in sync: false", "had"}},
		{"claim-without-compare", Rules{Machine: machine(snatch)}, 636, []string{"claimed by"}},
		{"claim-before-the-standby", Rules{Farewell: leave, Heir: nobody}, 1200, []string{"has all of it"}},
		{"time-begins-anew", Rules{Machine: machine(forget)}, 0, []string{"time 0 goes"}},
		{"no-lease-for-all", Rules{Court: func(cfg verdict.Config, now time.Duration) Court {
			return forgetful{verdict.New(cfg, now), map[string]bool{cfg.Self: true}}
		}}, 0, []string{"without having been in any trouble"}},
		{"one-witness", Rules{Court: func(cfg verdict.Config, now time.Duration) Court {
			return hasty{verdict.New(cfg, now)}
		}}, 624, []string{"without having been in any trouble"}},
		{"nobody-dies", Rules{Court: func(cfg verdict.Config, now time.Duration) Court {
			return patient{verdict.New(cfg, now)}
		}}, 0, []string{"no other owner", "after all faults"}},
		{"a-node-that-starts-inherits", Rules{Court: func(cfg verdict.Config, now time.Duration) Court {
			return trusting{verdict.New(cfg, now)}
		}}, 0, []string{"has told it that it starts"}},
		{"disowned-once", Rules{Disowns: func(*node) bool { return false }}, 0, []string{"as process"}},
		{"minority-decides", Rules{Majority: func(int) int { return 1 }}, 0, []string{
			"another command", "is lost", "another result", "cannot apply", "is the last that was committed",
		}},
		{"streams-go-to-and-fro", Rules{Balance: restless}, 0, []string{"after it had got another owner"}},
		{"replicas-differ", Rules{Machine: differing()}, 0, []string{"differ", "another result"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := runSeeds(tc.first, plantedSeeds, tc.rules)
			if got.found == nil {
				t.Fatalf("not found in %d seeds", got.runs)
			}
			for _, text := range tc.found {
				if strings.Contains(got.found.Failure, text) {
					t.Logf("seed %d, after %d: %s", got.found.Seed, got.runs, got.found.Failure)
					return
				}
			}
			t.Errorf("found as something else: %s", got.found)
		})
	}
}

// The leader gives an orphan to its standby before it decides a claim, however it has
// become one: the same seeds with half of that mistake.
func TestClaimsAreBehindStandbys(t *testing.T) {
	if got := runSeeds(1200, 20, Rules{Farewell: leave}); got.found != nil {
		t.Error(got.found)
	}
}

// differing gives state machines of which each reads its own clock.
func differing() func() Machine {
	return func() Machine {
		ms := int64(0)
		return broken{state.New(), func(_ *state.State, c state.Command) []state.Command {
			if n, ok := c.(state.UpsertNode); ok {
				ms++
				n.Node.AtUnixMS += ms // of its life, not of the command
				return []state.Command{n}
			}
			return []state.Command{c}
		}}
	}
}
