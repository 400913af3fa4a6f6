package session

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tmms/media"
)

// turner is a publisher that can be asked to hold.
type turner struct {
	*Publisher

	turns []Turn
	moved []Moved
}

// turner attaches one to a stream with a standby in sync, a second of media is there.
func (g *rig) turner(onTurn func(*turner, Turn)) *turner {
	g.t.Helper()
	u := &turner{}
	p, err := g.Attach(g.t.Context(), testKey(), testApp(), PublisherInfo{
		Close: func(err error) { g.t.Errorf("closed: %v", err) },
		Moved: func(m Moved) { u.moved = append(u.moved, m) },
		Turn: func(t Turn) {
			u.turns = append(u.turns, t)
			onTurn(u, t)
		},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	u.Publisher = p
	p.publish(g.t, 0, 1000)
	now, _ := g.cluster.Placement(testKey())
	now.Standby, now.InSync = "b", true
	g.cluster.place(testKey(), now)
	return u
}

// A publisher that can be asked holds in front of a keyframe before the stream moves;
// one whose keyframe does not come is not waited for without end.
func TestHandOverAtAKeyframe(t *testing.T) {
	for name, holds := range map[string]bool{"a keyframe comes": true, "none comes": false} {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(g *rig) {
				t := g.t
				began := time.Now()
				u := g.turner(func(u *turner, _ Turn) {
					if !holds {
						return
					}
					time.AfterFunc(time.Second, func() {
						if now, _ := g.cluster.Placement(testKey()); now.Owner != thisNode || len(u.moved) > 0 {
							t.Errorf("it has moved before its publisher held: %+v", now)
						}
						if err := u.Hold(); err != nil {
							t.Error(err)
						}
					})
				})
				left := g.HandOver(t.Context())
				if want := (Turn{On: true, Video: true}); left != 0 || len(u.turns) != 1 || u.turns[0] != want {
					t.Errorf("%d are left, the publisher was told %+v, want %+v", left, u.turns, want)
				}
				want := time.Second
				if !holds {
					want = media.HandOverWait
				}
				if d := time.Since(began).Truncate(time.Second); d != want || len(u.moved) != 1 {
					t.Errorf("moved %d times after %v, want once after %v", len(u.moved), d, want)
				}
				if err := u.Hold(); !errors.Is(err, ErrClosed) {
					t.Errorf("a hold after that: %v, want %v", err, ErrClosed)
				}
			})
		})
	}
}

// One stream is given away, in the epoch that is meant, and so is its publisher asked to
// hold.
func TestGiveAway(t *testing.T) {
	inCluster(t, func(g *rig) {
		t := g.t
		u := g.turner(func(u *turner, turn Turn) {
			if turn.On {
				go func() {
					if err := u.Hold(); err != nil && !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
				}()
			}
		})
		now, _ := g.cluster.Placement(testKey())
		for name, err := range map[string]error{
			"a later epoch":  g.GiveAway(t.Context(), testKey(), now.Epoch+1),
			"another stream": g.GiveAway(t.Context(), media.StreamKey{Domain: "d", App: "a", Stream: "other"}, now.Epoch),
		} {
			if !errors.Is(err, ErrKept) || len(u.turns) != 0 {
				t.Errorf("%s: %v, the publisher was told %+v", name, err, u.turns)
			}
		}
		if err := g.GiveAway(t.Context(), testKey(), now.Epoch); err != nil || len(u.moved) != 1 || len(u.turns) != 1 {
			t.Errorf("%v, the publisher was told %+v and %+v", err, u.turns, u.moved)
		}
	})
}

// A publisher that holds in vain goes on where it was.
func TestHandOverFails(t *testing.T) {
	inCluster(t, func(g *rig) {
		t := g.t
		g.cluster.setMute(errors.New("no leader"))
		u := g.turner(func(u *turner, turn Turn) {
			if turn.On {
				go func() {
					if err := u.Hold(); err != nil {
						t.Error(err)
					}
				}()
			}
		})
		if g.HandOver(t.Context()) == 0 || len(u.turns) != 2 || u.turns[1].On || len(u.moved) != 0 {
			t.Errorf("the publisher was told %+v and %+v", u.turns, u.moved)
		}
		u.publish(t, 1000, 1000)
		g.cluster.setMute(nil)
		if g.HandOver(t.Context()) != 0 || len(u.moved) != 1 {
			t.Errorf("the second time it was told %+v and %+v", u.turns, u.moved)
		}
	})
}

// A publisher that goes away meanwhile is not waited for.
func TestHandOverWithoutItsPublisher(t *testing.T) {
	inCluster(t, func(g *rig) {
		t := g.t
		began := time.Now()
		g.turner(func(u *turner, _ Turn) { go u.Detach(errGone) })
		if g.HandOver(t.Context()) != 0 || time.Since(began) >= media.HandOverWait {
			t.Errorf("after %v, or not at all", time.Since(began))
		}
		synctest.Wait()
	})
}
