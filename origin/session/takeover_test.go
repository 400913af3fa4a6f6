package session

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/rtmp"
)

// placedHere is a placement that the cluster has made of its own accord.
func placedHere(epoch uint64) state.Placement {
	now := time.Now().UnixMilli()
	return state.Placement{Epoch: epoch, Owner: thisNode, ClaimedAtMS: now, T0MS: now - 10_000}
}

// wantState waits for the only stream to be in a state, "" for none.
func (g *rig) wantState(want string, epoch uint64) {
	g.t.Helper()
	time.Sleep(time.Second)
	synctest.Wait()
	list := g.Streams()
	switch {
	case want == "" && len(list) == 0:
	case len(list) != 1, list[0].State != want, list[0].Epoch != epoch:
		g.t.Fatalf("streams %+v, want one that is %q in epoch %d", list, want, epoch)
	}
}

// inCluster runs a test in a bubble with a registry that looks at placements.
func inCluster(t *testing.T, f func(g *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g, stop := watching(t, testApp())
		f(g)
		g.Close(t.Context())
		stop()
		if g.Len() != 0 || g.hub.Len() != 0 {
			t.Errorf("%d streams, %d feeds are left", g.Len(), g.hub.Len())
		}
	})
}

// A stream that the cluster gives to this node waits for its publisher, which goes
// on in that epoch.
func TestAdopt(t *testing.T) {
	inCluster(t, func(g *rig) {
		t := g.t
		g.cluster.place(testKey(), placedHere(200))
		g.wantState("grace", 200)
		claims := g.cluster.epoch
		p, _ := g.attach(testApp(), "")
		if p.Epoch() != 200 || p.Run() != 0 || g.cluster.epoch != claims {
			t.Errorf("epoch %d, run %d, %d claims; want epoch 200, run 0, no claim", p.Epoch(), p.Run(), g.cluster.epoch-claims)
		}
		p.Detach(errGone) // without a packet: it was others who have seen the stream
		g.wantState("grace", 200)
		p, _ = g.attach(testApp(), "")
		p.publish(t, 0, 1000)
		if e := entries(t, g.live())[0]; e.ID.Epoch != 200 || e.DTS < 10_000 {
			t.Errorf("the first packet is %v at %d, the stream is more than 10 s old", e.ID, e.DTS)
		}
		p.Detach(errGone)
		time.Sleep(testApp().Grace)
		g.wantState("", 0)
		if _, ok := g.cluster.Placement(testKey()); ok {
			t.Error("the placement was not released")
		}
	})
}

func TestAdoptWithoutPublisher(t *testing.T) {
	inCluster(t, func(g *rig) {
		t := g.t
		g.cluster.place(testKey(), placedHere(200))
		time.Sleep(testApp().Grace - time.Second)
		g.wantState("grace", 200)
		time.Sleep(time.Second)
		g.wantState("", 0)
		if _, ok := g.cluster.Placement(testKey()); ok {
			t.Error("the placement was not released")
		}
	})
}

// The publisher comes before this node has looked at the placements, and while it
// takes the stream over.
func TestAdoptMeetsPublisher(t *testing.T) {
	inCluster(t, func(g *rig) {
		t := g.t
		g.wantState("", 0)
		claims := g.cluster.epoch
		g.cluster.place(testKey(), placedHere(200))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				p, err := g.Attach(t.Context(), testKey(), testApp(), PublisherInfo{Token: "k", Close: func(error) {}})
				if err != nil || p.Epoch() != 200 {
					t.Errorf("error %v, want a publisher in epoch 200", err)
				}
			})
		}
		wg.Wait()
		g.wantState("live", 200)
		if g.cluster.epoch != claims {
			t.Errorf("%d claims", g.cluster.epoch-claims)
		}
	})
}

// A second move takes the stream away again, whether or not its publisher came.
func TestAdoptThenMove(t *testing.T) {
	for _, published := range []bool{false, true} {
		inCluster(t, func(g *rig) {
			t := g.t
			g.cluster.place(testKey(), placedHere(200))
			var moved []Moved
			if published {
				g.wantState("grace", 200)
				p, err := g.Attach(t.Context(), testKey(), testApp(), PublisherInfo{
					Close: func(err error) { t.Errorf("closed: %v", err) },
					Moved: func(m Moved) { moved = append(moved, m) },
				})
				if err != nil {
					t.Fatal(err)
				}
				p.publish(t, 0, 1000)
			}
			other := placedHere(201)
			other.Owner = "other"
			g.cluster.place(testKey(), other)
			g.wantState("", 0)
			if now, _ := g.cluster.Placement(testKey()); now != other {
				t.Errorf("the placement is %+v, want %+v", now, other)
			}
			if published && (len(moved) != 1 || moved[0].Owner != "other" || moved[0].Epoch != 201 ||
				!errors.Is(moved[0].Reason, ErrSuperseded) || len(moved[0].Headers) != 3) {
				t.Errorf("the publisher was told %+v", moved)
			}
		})
	}
}

// A node that ends takes nothing over, and gives back what it was about to.
func TestAdoptAtTheEnd(t *testing.T) {
	inCluster(t, func(g *rig) {
		t := g.t
		g.wantState("", 0)
		g.cluster.place(testKey(), placedHere(200))
		time.Sleep(fencePause)
		synctest.Wait() // it is taking it over
		g.Close(t.Context())
		if g.Len() != 0 {
			t.Errorf("%d streams after Close", g.Len())
		}
		g.cluster.place(testKey(), placedHere(300))
		time.Sleep(time.Second)
		if g.Len() != 0 {
			t.Errorf("%d streams are taken over after Close", g.Len())
		}
	})
}

// A copy of the cluster that is behind shows a stream that was released: it is not
// taken over.
func TestAdoptNotWhatWasReleased(t *testing.T) {
	inCluster(t, func(g *rig) {
		t := g.t
		p, _ := g.attach(testApp(), "")
		was, _ := g.cluster.Placement(testKey())
		p.Detach(errGone)
		g.cluster.place(testKey(), was)
		g.wantState("", 0)
		p, _ = g.attach(testApp(), "")
		if p.Epoch() <= was.Epoch {
			t.Errorf("epoch %d again, which was released", p.Epoch())
		}
	})
}

// What an earlier process of the node owned is not taken over.
func TestAdoptNothingBeforeTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := make(chan struct{})
		g := newRigWith(t, func(d *Deps) {
			d.Placements, d.Node, d.Started = d.Claims.(*cluster), thisNode, started
			d.App = func(media.StreamKey) (*state.App, error) { return testApp(), nil }
		})
		done := make(chan struct{})
		go func() { defer close(done); g.Watch(t.Context()) }()
		g.cluster.place(testKey(), placedHere(200))
		g.wantState("", 0)
		claims := g.cluster.epoch
		if _, err := g.Attach(t.Context(), testKey(), testApp(), PublisherInfo{}); !errors.Is(err, ErrStarting) || g.cluster.epoch != claims {
			t.Errorf("a publisher of another node: %v after %d claims, want %v", err, g.cluster.epoch-claims, ErrStarting)
		}
		close(started)
		g.wantState("grace", 200)
		g.Close(t.Context())
	})
}

// The standby in sync does not claim: it waits until the stream is its own, and takes
// an orphan as what it is.
func TestStandbyDoesNotClaim(t *testing.T) {
	inCluster(t, func(g *rig) {
		t := g.t
		claims := g.cluster.epoch
		now := state.Placement{Epoch: 90, Owner: "other", Standby: thisNode, InSync: true, T0MS: time.Now().UnixMilli()}
		g.cluster.place(testKey(), now)
		_, err := g.Attach(t.Context(), testKey(), testApp(), PublisherInfo{})
		owned, ok := errors.AsType[*state.OwnedError](err)
		if !ok || owned.Placement != now || g.cluster.epoch != claims {
			t.Fatalf("error %v and %d claims, want %v and none", err, g.cluster.epoch-claims, state.ErrOwned)
		}
		now.Owner, now.LostBy = "", "other"
		g.cluster.place(testKey(), now)
		p, _ := g.attach(testApp(), "")
		if p.Epoch() != claims+1 || g.cluster.moves != 1 {
			t.Errorf("epoch %d after %d moves, want %d after 1", p.Epoch(), g.cluster.moves, claims+1)
		}
	})
}

// What is known of the standby is told until the cluster knows.
func TestStandby(t *testing.T) {
	inCluster(t, func(g *rig) {
		t := g.t
		p, _ := g.attach(testApp(), "")
		p.publish(t, 0, 1000)
		now, _ := g.cluster.Placement(testKey())
		now.Standby = "b"
		g.cluster.place(testKey(), now)
		g.wantState("live", now.Epoch)
		s := p.stream
		say := func(node string, inSync bool) { s.heard(relay.StandbyEvent{Node: node, InSync: inSync}) }
		want := func(what string, proposals int, standby string, inSync bool, exposed int64) {
			t.Helper()
			time.Sleep(time.Second)
			synctest.Wait()
			now, _ := g.cluster.Placement(testKey())
			if n := g.cluster.proposed(); n != proposals || now.Standby != standby || now.InSync != inSync || g.Exposed() != exposed {
				t.Fatalf("%s: %d proposals, placement %+v, %d exposed; want %d, %q %t, %d",
					what, n, now, g.Exposed(), proposals, standby, inSync, exposed)
			}
		}
		say("a", true)
		want("another node's", 0, "b", false, 0)
		say("b", true)
		want("in sync", 1, "b", true, 0)
		say("b", true)
		want("again", 1, "b", true, 0)
		if i, _ := g.Stream(testKey()); i.Standby != "b" || !i.InSync || i.Exposed {
			t.Errorf("info %+v", i)
		}

		g.cluster.setMute(errors.New("no leader"))
		say("b", false)
		synctest.Wait()
		time.Sleep(2 * time.Second)
		if n := g.cluster.proposed(); n < 3 || g.Exposed() != 1 {
			t.Errorf("%d proposals, %d exposed without a leader; want tries, and 1", n, g.Exposed())
		}
		p.publish(t, 1000, 1000) // it goes on
		g.cluster.mu.Lock()
		g.cluster.mute, g.cluster.proposals = nil, nil
		g.cluster.mu.Unlock()
		want("taken out", 1, "", false, 0)
		say("b", true)
		want("after that", 1, "", false, 0)
	})
}

// Streams with a standby in sync are handed over, their publishers told; the others
// stay.
func TestHandOver(t *testing.T) {
	inCluster(t, func(g *rig) {
		t := g.t
		var moved []Moved
		p, err := g.Attach(t.Context(), testKey(), testApp(), PublisherInfo{
			Close: func(error) {}, Moved: func(m Moved) { moved = append(moved, m) },
		})
		if err != nil {
			t.Fatal(err)
		}
		p.publish(t, 0, 1000)
		now, _ := g.cluster.Placement(testKey())
		if left := g.HandOver(t.Context()); left != 1 || len(moved) != 0 {
			t.Errorf("without a standby %d are left, the publisher was told %+v", left, moved)
		}
		now.Standby, now.InSync = "b", true
		g.cluster.place(testKey(), now)
		g.cluster.mute = errors.New("no leader")
		if left := g.HandOver(t.Context()); left != 1 || p.stream.seq.segments.held {
			t.Errorf("without a leader %d are left, segments are held: %t", left, p.stream.seq.segments.held)
		}
		g.cluster.mute = nil
		if left := g.HandOver(t.Context()); left != 0 || len(moved) != 1 || moved[0].Owner != "b" {
			t.Errorf("%d are left, the publisher was told %+v", left, moved)
		}
		err = p.Write(rtmp.Message{Type: media.TypeAudio, Body: []byte(audioFrame)}, time.Now())
		if !errors.Is(err, ErrClosed) {
			t.Errorf("a write after that: %v, want %v", err, ErrClosed)
		}
	})
}
