package consensus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"tmms/cluster/fabric"
	"tmms/cluster/pki"
	"tmms/cluster/state"
	"tmms/cluster/verdict"
	"tmms/media"
)

// ears are what all nodes of a test hear: everybody all the time, but those that are
// mute. The others say of these what said has.
type ears struct {
	mu   sync.Mutex
	on   bool
	mute map[string]time.Time      // by name: since when
	said map[string]verdict.Report // by id
	sole string                    // name of a node that gets media from all of them; "": nobody
	told map[string]bool           // names of those who were asked
}

func (e *ears) Heard(name string) (at time.Time, silent time.Duration, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	if at, ok = e.mute[name]; ok {
		return at, now.Sub(at), true
	}
	return now, 0, e.on
}

func (e *ears) Seen(_ context.Context, to fabric.Target, about []string) (map[string]verdict.Report, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := map[string]verdict.Report{}
	if e.told[to.Name] = true; to.Name == e.sole {
		for _, id := range about {
			all[id] = verdict.Report{Media: 100 * time.Millisecond}
		}
		return all, nil
	}
	for _, id := range about {
		if r, ok := e.said[id]; ok {
			all[id] = r
		}
	}
	return all, nil
}

func (e *ears) set(change func(*ears)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mute == nil {
		e.on, e.mute, e.said, e.told = true, map[string]time.Time{}, map[string]verdict.Report{}, map[string]bool{}
	}
	change(e)
}

// hearing is a group of three origins that hear each other, and know of standbys.
func hearing(t *testing.T) (e *ears, leader *running, others []*running) {
	t.Helper()
	nodes := group(t, 3, 500*time.Millisecond, nil)
	for i, r := range nodes {
		d := state.Node{Name: r.cfg.Name, Zone: string(rune('a' + i)), Roles: []string{pki.RoleOrigin}}
		if err := r.UpsertNode(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	leader, others = leaderOf(t, nodes)
	if _, err := leader.SetConfig(t.Context(), 0, doc("default"), "test"); err != nil { // orphans wait for the grace
		t.Fatal(err)
	}
	e = &leader.peers.(*peers).ears
	e.set(func(*ears) {})
	return e, leader, others
}

// silence lets a node say nothing any more; what the other one says of it is given.
func (e *ears) silence(n *running, r verdict.Report) {
	e.set(func(e *ears) { e.mute[n.cfg.Name], e.said[n.ID()] = time.Now(), r })
}

func claimed(t *testing.T, n *running, stream string) state.Placement {
	t.Helper()
	p, err := n.Claim(t.Context(), key(stream))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestHeldClaim: a claim against a suspect owner is neither refused nor granted before
// it is known whether that is dead.
func TestHeldClaim(t *testing.T) {
	e, leader, others := hearing(t)
	owner, other := others[0], others[1]
	first := claimed(t, owner, "s")
	var done chan error
	claim := func() {
		done = make(chan error, 1)
		go func() {
			_, err := other.Claim(t.Context(), key("s"))
			done <- err
		}()
	}
	e.silence(owner, verdict.Report{Known: true, Media: 0}) // it lives, says the other one
	eventually(t, "a claim that waits", func() bool {       // before the owner is suspect it does not
		claim()
		return waits(done, append(others, leader))
	})
	e.set(func(e *ears) { delete(e.mute, owner.cfg.Name) })
	var owned *state.OwnedError
	if err := <-done; !errors.As(err, &owned) || owned.Placement.Epoch != first.Epoch {
		t.Fatalf("the owner was heard again: %v", err)
	}

	e.silence(owner, verdict.Report{Known: true, Silent: verdict.Silence, Media: verdict.Never})
	eventually(t, "the claim's success", func() bool {
		claim()
		err := <-done
		if err != nil && !errors.As(err, &owned) {
			t.Fatal(err)
		}
		return err == nil
	})
	if p, _ := other.Placement(key("s")); p.Owner != other.ID() || p.T0MS != first.T0MS {
		t.Errorf("%+v after %+v", p, first)
	}
}

// waits reports whether a claim is held anywhere before it is decided.
func waits(done <-chan error, nodes []*running) bool {
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for {
		for _, n := range nodes {
			if n.held.Load() > 0 {
				return true
			}
		}
		select {
		case _, decided := <-done:
			return !decided
		case <-look.C:
		}
	}
}

// TestHeldClaimsEnd: a claim waits no longer than it may, whatever becomes of the owner.
func TestHeldClaimsEnd(t *testing.T) {
	e, _, others := hearing(t)
	claimed(t, others[0], "s")
	e.silence(others[0], verdict.Report{Known: true, Media: 0})
	var owned *state.OwnedError
	if _, err := others[1].Claim(t.Context(), key("s")); !errors.As(err, &owned) {
		t.Errorf("%v", err)
	}
}

// TestStandbys: each stream gets a standby, another one when that dies or is drained,
// and none at once when its owner took it out.
func TestStandbys(t *testing.T) {
	e, leader, others := hearing(t)
	raise(t, leader)
	owner := others[0]
	claimed(t, owner, "s")
	standby := func(what string, ok func(p state.Placement) bool) (found state.Placement) {
		eventually(t, what, func() bool {
			found, _ = leader.Placement(key("s"))
			return ok(found)
		})
		return found
	}
	first := standby("a standby", func(p state.Placement) bool { return p.Standby != "" })
	if first.Standby == owner.ID() || first.InSync {
		t.Fatalf("%+v", first)
	}
	if err := leader.SetDrain(t.Context(), first.Standby, true, "test"); err != nil {
		t.Fatal(err)
	}
	second := standby("another standby", func(p state.Placement) bool { return p.Standby != "" && p.Standby != first.Standby })
	if err := leader.SetDrain(t.Context(), first.Standby, false, "test"); err != nil {
		t.Fatal(err)
	}
	dead := others[1]
	if dead.ID() != second.Standby { // the leader itself does not die
		c := state.SetStandby{Key: state.Key(key("s")), Epoch: second.Epoch, From: second.Standby, To: dead.ID()}
		if _, err := owner.SetStandby(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	e.silence(dead, verdict.Report{Known: true, Silent: verdict.Silence, Media: verdict.Never})
	third := standby("one that lives", func(p state.Placement) bool { return p.Standby == leader.ID() })
	if third.Epoch != first.Epoch || third.Owner != owner.ID() {
		t.Errorf("the owner has changed: %+v, %+v", first, third)
	}
}

// TestFailOver: a dead owner's streams go to standbys in sync, the others wait for a
// claim, or for their standby to be there again.
func TestFailOver(t *testing.T) {
	e, leader, others := hearing(t)
	raise(t, leader)
	owner := others[0]
	inSync := func(stream string, is bool) {
		claimed(t, owner, stream)
		eventually(t, stream, func() bool {
			p, _ := leader.Placement(key(stream))
			c := state.SetStandby{Key: state.Key(key(stream)), Epoch: p.Epoch, From: p.Standby, To: leader.ID(), InSync: is}
			p, err := owner.SetStandby(t.Context(), c)
			return err == nil && p.InSync == is && p.Standby == leader.ID()
		})
	}
	inSync("moves", true)
	inSync("waits", false)
	e.silence(owner, verdict.Report{Known: true, Silent: verdict.Silence, Media: verdict.Never})
	eventually(t, "the stream at its standby", func() bool {
		p, _ := leader.Placement(key("moves"))
		return p.Owner == leader.ID()
	})
	if p, _ := leader.Placement(key("waits")); !p.Orphan() || p.LostBy != owner.ID() {
		t.Errorf("%+v", p)
	}
}

// TestSoleSubscriber: among more edges than are asked at a time a single one that gets
// media from a silent owner keeps it alive, for as long as it does.
func TestSoleSubscriber(t *testing.T) {
	const edges = media.MaxWitnessEdges + 44
	e, leader, others := hearing(t)
	owner := others[0]
	name := func(i int) string { return fmt.Sprintf("edge%03d", i) }
	var joining sync.WaitGroup
	for i := range edges {
		joining.Go(func() {
			d := state.Node{ID: name(i), Name: name(i), Roles: []string{pki.RoleEdge}}
			if err := leader.command(leader.raft.Load(), state.UpsertNode{Node: d}); err != nil {
				t.Error(err)
			}
		})
	}
	joining.Wait()
	live := func() {
		for i := range edges {
			if err := leader.RenewLease(name(i), false); err != nil {
				t.Fatal(err)
			}
		}
	}
	live()
	claimed(t, owner, "s")
	e.set(func(e *ears) { e.sole = name(edges - 1) }) // the last to be asked
	e.silence(owner, verdict.Report{Known: true, Silent: verdict.Silence, Media: verdict.Never})
	eventually(t, "a silence that is long enough", func() bool {
		live()
		var silent time.Duration
		leader.leads().court.with(time.Now(), func(v *verdict.Court, at time.Duration) { silent = v.Silent(owner.ID(), at) })
		return silent > verdict.Silence+300*time.Millisecond
	})
	if p, _ := leader.Placement(key("s")); p.Owner != owner.ID() {
		t.Fatalf("%+v", p)
	}
	e.set(func(e *ears) {
		for i := range edges {
			if !e.told[name(i)] {
				t.Errorf("%s was not asked", name(i))
			}
		}
		e.sole = ""
	})
	eventually(t, "its death", func() bool {
		live()
		p, _ := leader.Placement(key("s"))
		return p.Owner != owner.ID()
	})
}

// standbyInSync makes a node the standby in sync of a stream.
func standbyInSync(t *testing.T, owner, standby *running, stream string) {
	t.Helper()
	eventually(t, "a standby in sync of "+stream, func() bool {
		p, _ := owner.Placement(key(stream))
		c := state.SetStandby{Key: state.Key(key(stream)), Epoch: p.Epoch, From: p.Standby, To: standby.ID(), InSync: true}
		p, err := owner.SetStandby(t.Context(), c)
		return err == nil && p.InSync && p.Standby == standby.ID()
	})
}

// TestDisown: what a node had before it started anew goes to standbys in sync at once,
// not to whoever claims it first, and where it was the standby it is none any more.
//
// Case: kill-origin.
func TestDisown(t *testing.T) {
	_, leader, others := hearing(t)
	raise(t, leader)
	owner, standby := others[0], others[1]
	first := claimed(t, owner, "s")
	standbyInSync(t, owner, standby, "s")
	claimed(t, standby, "other")
	standbyInSync(t, standby, owner, "other")
	eventually(t, "its own copy", func() bool {
		p, _ := owner.Placement(key("other"))
		return p.InSync && p.Standby == owner.ID()
	})
	if err := owner.Disown(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, _ := owner.Placement(key("s"))
	if p.Owner != standby.ID() || p.Epoch <= first.Epoch || p.T0MS != first.T0MS {
		t.Errorf("%+v, it was %+v", p, first)
	}
	if p, _ = owner.Placement(key("other")); p.Owner != standby.ID() || p.InSync && p.Standby == owner.ID() {
		t.Errorf("the standby of %+v has nothing of it", p)
	}
	var owned *state.OwnedError
	if _, err := owner.Claim(t.Context(), key("s")); !errors.As(err, &owned) || owned.Placement.Owner != standby.ID() {
		t.Errorf("a claim after that: %v", err)
	}
}

// TestClaimOfAnOrphan: a claim does not take an orphan from its standby in sync, but
// waits while it is not known whether that lives.
func TestClaimOfAnOrphan(t *testing.T) {
	e, leader, others := hearing(t)
	raise(t, leader)
	owner, standby := others[0], others[1]
	for _, stream := range []string{"a", "b"} {
		claimed(t, owner, stream)
		standbyInSync(t, owner, standby, stream)
	}
	orphans := func() {
		t.Helper() // as by a release that did not know better
		c := state.ExpireNode{Node: owner.ID(), MaxEpoch: leader.Epoch()}
		if err := leader.command(leader.raft.Load(), c); err != nil {
			t.Fatal(err)
		}
	}
	e.silence(standby, verdict.Report{Known: true, Media: 0}) // it lives, says the other one
	eventually(t, "a doubt", func() bool { return leader.leads().suspect(standby.ID(), time.Now()) })
	orphans()
	done := make(chan error, 1)
	go func() {
		_, err := owner.Claim(t.Context(), key("a"))
		done <- err
	}()
	if !waits(done, append(others, leader)) {
		t.Fatal("a claim is decided while the standby is in doubt")
	}
	e.set(func(e *ears) { delete(e.mute, standby.cfg.Name) })
	var owned *state.OwnedError
	if err := <-done; !errors.As(err, &owned) || owned.Placement.Owner != standby.ID() {
		t.Errorf("it was heard again: %v", err)
	}
	if _, err := owner.Claim(t.Context(), key("b")); !errors.As(err, &owned) || owned.Placement.Owner != standby.ID() {
		t.Errorf("a claim of another orphan of it: %v", err)
	}
}

// TestRevive: an orphan whose standby is in sync and there again goes to that.
func TestRevive(t *testing.T) {
	_, leader, others := hearing(t)
	raise(t, leader)
	owner := others[0]
	claimed(t, owner, "s")
	standbyInSync(t, owner, others[1], "s")
	c := state.FailOver{Node: owner.ID(), MaxEpoch: leader.Epoch(), Except: []string{others[1].ID()}}
	if err := leader.command(leader.raft.Load(), c); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream at its standby", func() bool {
		p, _ := leader.Placement(key("s"))
		return p.Owner == others[1].ID()
	})
}

// raise lets the group use what this release has.
func raise(t *testing.T, leader *running) {
	t.Helper()
	if leader.FeatureLevel() >= state.Level {
		return
	}
	if err := leader.command(leader.raft.Load(), state.RaiseLevel{Level: state.Level}); err != nil {
		t.Fatal(err)
	}
}
