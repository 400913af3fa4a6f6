package consensus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/media"
)

// loads are what gossip would tell of the nodes.
type loads struct {
	mu  sync.Mutex
	all map[string]Busy
}

func (l *loads) get() map[string]Busy {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.all)
}

func (l *loads) set(id string, load uint8) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = map[string]Busy{}
	}
	l.all[id] = Busy{Load: load}
}

// loaded is a group of three origins that tell their loads, and relieve each other
// soon.
func loaded(t *testing.T, off bool) (l *loads, leader *running, others []*running) {
	t.Helper()
	return loadedWith(t, off, nil)
}

// loadedWith is loaded where owners are asked.
func loadedWith(
	t *testing.T, off bool, giveAway func(context.Context, string, media.StreamKey, uint64) error,
) (l *loads, leader *running, others []*running) {
	t.Helper()
	l = &loads{}
	nodes := groupOf(t, 3, func(cfg *Config, deps *Deps) {
		cfg.Heartbeat, cfg.Relief, cfg.Lease, cfg.NoBalance = 500*time.Millisecond, 100*time.Millisecond, 4*time.Second, off
		deps.Busy, deps.Witnesses, deps.GiveAway = l.get, nil, giveAway
	})
	for i, r := range nodes {
		d := state.Node{Name: r.cfg.Name, Zone: string(rune('a' + i)), Roles: []string{pki.RoleOrigin}}
		if err := r.UpsertNode(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		l.set(r.ID(), 0)
	}
	leader, others = leaderOf(t, nodes)
	raise(t, leader)
	return l, leader, others
}

// owners counts the streams of each node.
func owners(n *running) map[string]int {
	count := map[string]int{}
	for _, p := range n.Placements() {
		count[p.Owner]++
	}
	return count
}

// counted is how many moves a node has counted.
func counted(t *testing.T, n *running, w why) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	if err := reg.Register(n.verdicts.moves); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%v, %v", families, err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == string(w) {
			return m.GetCounter().GetValue()
		}
	}
	t.Fatalf("moves are not counted by %s", w)
	return 0
}

// A node that says for a while that it has too much to do loses streams to the standby
// that has less, but its last one; nothing comes back when the loads have changed
// places. Requirement: C5.
func TestBalance(t *testing.T) {
	l, leader, others := loaded(t, false)
	full, idle := others[0], others[1]
	l.set(leader.ID(), 200)
	for i := range 4 {
		claimed(t, full, fmt.Sprint("s", i))
		standbyInSync(t, full, idle, fmt.Sprint("s", i))
	}
	l.set(full.ID(), 230)
	eventually(t, "three of four at the standby", func() bool {
		got := owners(leader)
		return got[idle.ID()] == 3 && got[full.ID()] == 1
	})
	eventually(t, "they are counted", func() bool { return counted(t, leader, byBalance) == 3 })
	l.set(full.ID(), 0)
	l.set(idle.ID(), 255)
	for _, p := range leader.Placements() {
		if p.Owner == idle.ID() {
			standbyInSync(t, idle, full, p.Key.Stream)
		}
	}
	claimed(t, idle, "t") // it has stayed: so it goes, and says that the others had their chance
	standbyInSync(t, idle, full, "t")
	eventually(t, "another one has gone", func() bool {
		p, _ := leader.Placement(key("t"))
		return p.Owner == full.ID()
	})
	if got := owners(leader); got[idle.ID()] != 3 || got[full.ID()] != 2 {
		t.Errorf("streams that had just come went back: %v", got)
	}
}

// Owners are asked to give their streams away; who does not is not waited for for ever.
func TestOwnersAreAsked(t *testing.T) {
	for name, heeds := range map[string]bool{"the owner gives them": true, "the owner keeps them": false} {
		t.Run(name, func(t *testing.T) {
			var full atomic.Pointer[running]
			var asked atomic.Int64
			giveAway := func(ctx context.Context, owner string, key media.StreamKey, epoch uint64) error {
				asked.Add(1)
				n := full.Load()
				if owner != n.ID() || !heeds {
					return errors.New("it stays")
				}
				p, _ := n.Placement(key)
				_, err := n.Move(ctx, key, epoch, p.Standby)
				return err
			}
			l, leader, others := loadedWith(t, false, giveAway)
			full.Store(others[0])
			idle := others[1]
			for i := range 3 {
				claimed(t, others[0], fmt.Sprint("s", i))
				standbyInSync(t, others[0], idle, fmt.Sprint("s", i))
			}
			l.set(leader.ID(), 200)
			l.set(others[0].ID(), 230)
			eventually(t, "two of three at the standby, and counted", func() bool {
				return owners(leader)[idle.ID()] == 2 && counted(t, leader, byBalance) == 2
			})
			if got := counted(t, leader, byOwner); got != 0 || asked.Load() < 2 {
				t.Errorf("%g are counted as the owner's own wish, %d were asked for", got, asked.Load())
			}
		})
	}
}

// An operator may forbid it.
func TestNoBalance(t *testing.T) {
	l, leader, others := loaded(t, true)
	full, idle := others[0], others[1]
	for i := range 3 {
		claimed(t, full, fmt.Sprint("s", i))
		standbyInSync(t, full, idle, fmt.Sprint("s", i))
	}
	l.set(full.ID(), 255)
	before := leader.AppliedIndex()
	for i := range 5 { // each tick may do something
		if err := leader.leads().balance(t.Context(), time.Now().Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if got := owners(leader); got[full.ID()] != 3 {
		t.Errorf("%v since index %d", got, before)
	}
}

// What an owner asks for is counted apart.
func TestMovesOfOwners(t *testing.T) {
	_, leader, others := loaded(t, false)
	claimed(t, others[0], "s")
	standbyInSync(t, others[0], others[1], "s")
	p, _ := others[0].Placement(key("s"))
	if _, err := others[0].Move(t.Context(), key("s"), p.Epoch, others[1].ID()); err != nil {
		t.Fatal(err)
	}
	if got := counted(t, leader, byOwner); got != 1 {
		t.Errorf("%g moves are counted", got)
	}
}
