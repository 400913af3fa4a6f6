package session

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tmms/cluster/relay"
	"tmms/cluster/state"
	"tmms/media"
	"tmms/media/rtmp"
)

var errGone = errors.New("connection reset")

func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		p, _ := g.attach(testApp(), "")
		p.publish(t, 0, 1000)
		life := g.live()
		p.Detach(errGone)
		if s := life.State(); s != relay.StateGrace {
			t.Errorf("state %v after the cut, want grace", s)
		}

		time.Sleep(19 * time.Second)
		p2, _ := g.attach(testApp(), "")
		if p2.Epoch() != p.Epoch() || p2.Run() != 1 {
			t.Errorf("epoch %d run %d, want epoch %d run 1", p2.Epoch(), p2.Run(), p.Epoch())
		}
		p2.publish(t, 0, 1000)
		if g.live() != life || life.State() != relay.StateLive {
			t.Error("the second publisher did not continue the first one's life")
		}

		time.Sleep(time.Minute) // the first grace has long passed
		if g.Len() != 1 {
			t.Fatal("the first grace ended the second run")
		}
		p2.Detach(errGone)
		p.Detach(errGone) // again, and late
		time.Sleep(20*time.Second - time.Millisecond)
		if g.Len() != 1 || g.cluster.placements() != 1 {
			t.Error("the stream ended before its grace")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		g.empty()
		if life.State() != relay.StateEnded {
			t.Errorf("state %v after the grace, want ended", life.State())
		}

		p3, _ := g.attach(testApp(), "")
		if p3.Epoch() <= p.Epoch() || p3.Run() != 0 {
			t.Errorf("epoch %d run %d after the end, want a later epoch and run 0", p3.Epoch(), p3.Run())
		}
		p3.Detach(errGone) // without a packet: no grace
		g.empty()
	})
}

// CASES: busy, takeover.
func TestBusyPolicy(t *testing.T) {
	for _, tt := range []struct {
		policy   state.BusyPolicy
		old, new string // tokens
		silent   time.Duration
		replaced bool
	}{
		{state.BusyReject, "k", "k", time.Minute, false},
		{state.BusyReplace, "", "", 0, true},
		{state.BusyReplace, "a", "b", 0, true},
		{state.BusyReplaceSameToken, "k", "k", 0, true},
		{state.BusyReplaceSameToken, "k", "K", 0, false},
		{state.BusyReplaceSameToken, "", "", 0, false}, // none never equals none
		{state.BusyReplaceSameToken, "", "k", 0, false},
		{state.BusyReplaceSameToken, "", "", 1999 * time.Millisecond, false},
		{state.BusyReplaceSameToken, "", "", 2 * time.Second, true},
		{state.BusyReplaceSameToken, "a", "b", 2 * time.Second, true},
		{"unheard_of", "k", "k", time.Minute, false},
	} {
		t.Run(fmt.Sprintf("takeover %s %q %q %v", tt.policy, tt.old, tt.new, tt.silent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				app := testApp()
				app.BusyPolicy = tt.policy
				old, oldConn := g.attach(app, tt.old)
				old.publish(t, 0, 1000)
				time.Sleep(10 * time.Second)
				old.Alive(time.Now())
				time.Sleep(tt.silent)

				p, err := g.Attach(t.Context(), testKey(), app, PublisherInfo{Token: tt.new, Close: func(error) {}})
				if !tt.replaced {
					if !errors.Is(err, ErrBusy) || oldConn.err() != nil {
						t.Errorf("error %v, old connection closed with %v; want ErrBusy and nil", err, oldConn.err())
					}
					old.video(t, 1000, videoKey)
					old.Detach(errGone)
					return
				}
				if err != nil || !errors.Is(oldConn.err(), ErrReplaced) {
					t.Fatalf("error %v, old connection closed with %v; want nil and ErrReplaced", err, oldConn.err())
				}
				before := len(entries(t, g.live()))
				err = old.Write(rtmp.Message{Type: media.TypeVideo, Timestamp: 1000, Body: []byte(videoKey)}, time.Now())
				if !errors.Is(err, ErrReplaced) || len(entries(t, g.live())) != before {
					t.Errorf("late packet: error %v; want ErrReplaced and nothing in the log", err)
				}
				if n := g.Counters().Dropped(DropLate); n != 1 {
					t.Errorf("%d late packets counted, want 1", n)
				}
				old.Detach(errGone)
				if i, _ := g.Stream(testKey()); i.State != "live" || i.Run != 1 {
					t.Errorf("state %s run %d after the old one left, want live 1", i.State, i.Run)
				}
				p.Detach(errGone)
			})
		})
	}
}

func TestClaimFails(t *testing.T) {
	g := newRig(t)
	g.cluster.err = errors.New("no leader")
	_, err := g.Attach(t.Context(), testKey(), testApp(), PublisherInfo{})
	if !errors.Is(err, g.cluster.err) {
		t.Errorf("error %v, want %v", err, g.cluster.err)
	}
	g.empty()
}

func TestHubFull(t *testing.T) {
	g := newRig(t)
	w, err := g.hub.Publish(testKey(), 1, relay.LiveOptions{}) // somebody else writes the stream here
	if err != nil {
		t.Fatal(err)
	}
	if _, err = g.Attach(t.Context(), testKey(), testApp(), PublisherInfo{}); !errors.Is(err, relay.ErrPublished) {
		t.Errorf("error %v, want %v", err, relay.ErrPublished)
	}
	w.End()
	g.empty()
}

func TestClaimTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.cluster.waiting = make(chan struct{})
		_, err := g.Attach(t.Context(), testKey(), testApp(), PublisherInfo{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
		}
		g.empty()
	})
}

// Those who come during a claim wait for it, then meet its publisher.
func TestAttachDuringClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.cluster.waiting = make(chan struct{})
		results := make(chan error, 4)
		for range cap(results) {
			go func() {
				_, err := g.Attach(t.Context(), testKey(), testApp(), PublisherInfo{})
				results <- err
			}()
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		synctest.Wait()
		if _, err := g.Attach(impatient, testKey(), testApp(), PublisherInfo{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want %v", err, context.DeadlineExceeded)
		}
		close(g.cluster.waiting)
		accepted := 0
		for range cap(results) {
			if err := <-results; err == nil {
				accepted++
			} else if !errors.Is(err, ErrBusy) {
				t.Errorf("error %v, want ErrBusy", err)
			}
		}
		if accepted != 1 || g.cluster.placements() != 1 {
			t.Errorf("%d publishers and %d placements, want one of each", accepted, g.cluster.placements())
		}
	})
}

func TestTooManyStreams(t *testing.T) {
	g := newRig(t)
	g.cfg.MaxStreams = 2
	for i := range 3 {
		key := media.StreamKey{Domain: "d", App: "a", Stream: strconv.Itoa(i)}
		_, err := g.Attach(t.Context(), key, testApp(), PublisherInfo{})
		if full := i == 2; errors.Is(err, ErrTooManyStreams) != full {
			t.Errorf("stream %d: error %v", i, err)
		}
	}
}

func TestRelease(t *testing.T) {
	t.Run("is tried again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t)
			g.cluster.refuse = releaseTries - 1
			p, _ := g.attach(testApp(), "")
			p.Detach(errGone)
			g.empty()
		})
	})
	t.Run("is given up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t)
			g.cluster.refuse = releaseTries
			p, _ := g.attach(testApp(), "")
			p.Detach(errGone)
			if g.Len() != 0 || g.hub.Len() != 0 {
				t.Errorf("%d streams, %d feeds are left", g.Len(), g.hub.Len())
			}
		})
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		p, conn := g.attach(testApp(), "")
		p.publish(t, 0, 1000)
		life := g.live()
		inGrace, err := g.Attach(t.Context(), media.StreamKey{Domain: "d", App: "a", Stream: "s"}, testApp(), PublisherInfo{})
		if err != nil {
			t.Fatal(err)
		}
		inGrace.publish(t, 0, 100)
		inGrace.Detach(errGone)

		g.Close(t.Context())
		g.empty()
		if !errors.Is(conn.err(), ErrClosed) || life.State() != relay.StateEnded {
			t.Errorf("connection closed with %v, life %v; want ErrClosed, ended", conn.err(), life.State())
		}
		err = p.Write(rtmp.Message{Type: media.TypeAudio, Body: []byte(audioFrame)}, time.Now())
		if !errors.Is(err, ErrClosed) {
			t.Errorf("write after the close: %v, want ErrClosed", err)
		}
		p.Detach(errGone)
		if _, err := g.Attach(t.Context(), testKey(), testApp(), PublisherInfo{}); !errors.Is(err, ErrClosed) {
			t.Errorf("attach after the close: %v, want ErrClosed", err)
		}
	})
}

// CASES: 10^6 distinct stream names leave nothing behind; here as many as may
// be there at once.
func TestDistinctNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		for i := range media.MaxStreamsPerNode {
			key := media.StreamKey{Domain: "default", App: "live", Stream: fmt.Sprint("s", i)}
			p, err := g.Attach(t.Context(), key, testApp(), PublisherInfo{})
			if err != nil {
				t.Fatal(err)
			}
			if i%8 == 0 {
				p.audio(t, 0, audioFrame)
			}
			p.Detach(errGone)
		}
		if n := g.Len(); n != media.MaxStreamsPerNode/8 {
			t.Errorf("%d streams in their grace, want %d", n, media.MaxStreamsPerNode/8)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		g.empty()
	}) // and no goroutine is left in the bubble
}

func TestConfigValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{MaxStreams: media.MaxStreamsPerNode + 1}, Deps{}); err == nil {
		t.Error("a config with three faults is accepted")
	} else if n := strings.Count(err.Error(), "session: "); n != 3 {
		t.Errorf("error %v, want three faults", err)
	}
}
