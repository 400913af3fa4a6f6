package member

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

func claimKey() media.StreamKey { return media.StreamKey{Domain: "d", App: "a", Stream: "s"} }

// writes gives the writes of a node whose attempts end as the list says, the
// last one again and again.
func writes(once bool, outcomes ...error) (*Writes, *int) {
	tries := new(int)
	return NewWrites(WritesConfig{
		ID: "me", View: NewCopy().View, Lease: NewLease(DefaultTerm), Now: time.Now, Once: once,
		Attempt: func(_ context.Context, c state.Command) (uint64, any, error) {
			err := outcomes[min(*tries, len(outcomes)-1)]
			*tries++
			if err != nil {
				return 0, nil, err
			}
			switch c.(type) {
			case state.Claim:
				return 0, state.Placement{Owner: "me", Epoch: 7}, nil
			case state.SetConfig:
				return 0, state.SetConfigResult{Revision: 3}, nil
			}
			return 0, nil, nil
		},
	}), tries
}

func TestWritesAreTriedAgain(t *testing.T) {
	lost, unsure := fmt.Errorf("x: %w", ErrNotLeader), fmt.Errorf("x: %w", ErrUncertain)
	t.Run("until a leader takes them", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, tries := writes(false, lost, unsure, lost, nil)
			p, err := w.Claim(t.Context(), claimKey())
			if err != nil || p.Epoch != 7 || *tries != 4 {
				t.Errorf("%+v, %v after %d tries", p, err, *tries)
			}
		})
	})
	t.Run("but not for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, tries := writes(false, lost)
			began := time.Now()
			_, err := w.Claim(t.Context(), claimKey())
			if !errors.Is(err, ErrNotLeader) || !errors.Is(err, context.DeadlineExceeded) || *tries < 10 || *tries > 200 {
				t.Errorf("%v after %d tries", err, *tries)
			}
			if took := time.Since(began); took != proposeTimeout {
				t.Errorf("gave up after %s", took)
			}
		})
	})
	t.Run("not a config that may be in force", func(t *testing.T) {
		w, tries := writes(false, unsure, nil)
		if _, err := w.SetConfig(t.Context(), 2, &state.Document{}, "ops"); !errors.Is(err, ErrUncertain) || *tries != 1 {
			t.Errorf("%v after %d tries", err, *tries)
		}
	})
	t.Run("unless it replaces any", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, tries := writes(false, unsure, nil)
			if rev, err := w.SetConfig(t.Context(), state.AnyRevision, &state.Document{}, "ops"); err != nil || rev != 3 || *tries != 2 {
				t.Errorf("%d, %v after %d tries", rev, err, *tries)
			}
		})
	})
	t.Run("not alone", func(t *testing.T) {
		w, tries := writes(true, lost)
		if _, err := w.Claim(t.Context(), claimKey()); !errors.Is(err, ErrNotLeader) || *tries != 1 {
			t.Errorf("%v after %d tries", err, *tries)
		}
	})
	t.Run("not what is refused", func(t *testing.T) {
		w, tries := writes(false, fmt.Errorf("x: %w", ErrForbidden))
		if err := w.Release(t.Context(), claimKey(), 1); !errors.Is(err, ErrForbidden) || *tries != 1 {
			t.Errorf("%v after %d tries", err, *tries)
		}
	})
}

// apply puts a command into force in a copy.
func apply(t *testing.T, c *Copy, command state.Command) {
	t.Helper()
	b, err := state.Encode(command)
	if err != nil {
		t.Fatal(err)
	}
	result, err := c.Apply(c.AppliedIndex()+1, b)
	if refusal, refused := result.(error); err != nil || refused {
		t.Fatal(refusal, err)
	}
}

// What a node gives up goes to standbys once the cluster has any, and nothing is asked
// for of which it has nothing. What comes to it meanwhile it gives up as well: it was the
// standby of that before it started.
func TestDisown(t *testing.T) {
	own := state.Claim{Key: state.Key(claimKey()), Node: "me"}
	others := state.Claim{Key: state.Key(claimKey()), Node: "other"}
	follows := state.SetStandby{Key: own.Key, Epoch: 1<<20 + 1, To: "me", InSync: true}
	for _, tc := range []struct {
		name      string
		commands  []state.Command
		meanwhile state.Command // in the log before the first that it asks for
		want      string
	}{
		{"nothing", []state.Command{state.RaiseLevel{Level: 1}, others}, nil, "[]"},
		{"before there are standbys", []state.Command{own}, nil, "[state.ExpireNode me]"},
		{"a stream", []state.Command{state.RaiseLevel{Level: 1}, own}, nil, "[state.FailOver me]"},
		{"another one's", []state.Command{state.RaiseLevel{Level: 1}, others, follows}, nil, "[state.FailOver me]"},
		{
			"another one's, which dies",
			[]state.Command{state.RaiseLevel{Level: 1}, others, follows},
			state.FailOver{Node: "other", MaxEpoch: 1<<20 + 1},
			"[state.FailOver me state.FailOver me]",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := NewCopy()
			for _, command := range append([]state.Command{state.Init{UnixSeconds: 1, ClusterID: "c"}}, tc.commands...) {
				apply(t, c, command)
			}
			asked := []string{}
			w := NewWrites(WritesConfig{
				ID: "me", View: c.View, Lease: NewLease(DefaultTerm), Now: time.Now,
				Attempt: func(_ context.Context, cmd state.Command) (uint64, any, error) {
					switch cmd := cmd.(type) {
					case state.ExpireNode:
						asked = append(asked, fmt.Sprintf("%T %s", cmd, cmd.Node))
					case state.FailOver:
						asked = append(asked, fmt.Sprintf("%T %s", cmd, cmd.Node))
					}
					if len(asked) == 1 && tc.meanwhile != nil {
						apply(t, c, tc.meanwhile)
					}
					apply(t, c, cmd)
					return c.AppliedIndex(), nil, nil
				},
			})
			if err := w.Disown(t.Context()); err != nil || fmt.Sprint(asked) != tc.want || len(c.PlacedAt("me")) > 0 {
				t.Errorf("%v, %v; want %s", asked, err, tc.want)
			}
		})
	}
}

// A process says that it is starting until it has told the cluster of its node, often
// enough for a new leader to know in time.
func TestLeaseOfAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := writes(false, nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var starts, others atomic.Int64
		go w.lease.Run(ctx, func(_ context.Context, starting bool) error {
			if starting {
				starts.Add(1)
			} else {
				others.Add(1)
			}
			return nil
		})
		time.Sleep(time.Second)
		if err := w.UpsertNode(ctx, state.Node{ID: "another"}); err != nil || !w.lease.Starting() {
			t.Errorf("another node is known: %v, starting: %t", err, w.lease.Starting())
		}
		if err := w.UpsertNode(ctx, state.Node{}); err != nil || w.lease.Starting() {
			t.Errorf("the node is known: %v, starting: %t", err, w.lease.Starting())
		}
		time.Sleep(startRenewals)
		synctest.Wait()
		if starts.Load() != 4 || others.Load() != 1 {
			t.Errorf("%d renewals of a node that starts, %d of one that has started; want 4 and 1", starts.Load(), others.Load())
		}
		cancel()
		synctest.Wait()
	})
}

func TestLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLease(DefaultTerm)
		l.Started()
		ctx, cancel := context.WithCancel(t.Context())
		var fail atomic.Pointer[error]
		var renewals atomic.Int64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			l.Run(ctx, func(context.Context, bool) error {
				renewals.Add(1)
				if f := fail.Load(); f != nil {
					return *f
				}
				return nil
			})
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if err := l.Check(); err != nil || renewals.Load() != 21 { // one at once, then every 3 s
			t.Errorf("%v after %d renewals", err, renewals.Load())
		}
		lost := errors.New("no leader")
		fail.Store(&lost)
		time.Sleep(DefaultTerm - time.Second)
		synctest.Wait()
		if err := l.Check(); err != nil {
			t.Errorf("lapsed early: %v", err)
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if err := l.Check(); !errors.Is(err, ErrLeaseLapsed) {
			t.Errorf("did not lapse: %v", err)
		}
		w, tries := writes(false, nil)
		w.lease = l
		if _, err := w.Claim(ctx, claimKey()); !errors.Is(err, ErrLeaseLapsed) || *tries != 0 {
			t.Errorf("claimed without a lease: %v after %d tries", err, *tries)
		}
		fail.Store(nil)
		time.Sleep(2 * time.Second) // it is tried again soon
		synctest.Wait()
		if err := l.Check(); err != nil {
			t.Errorf("did not recover: %v", err)
		}
		cancel()
		<-ended
	})
}
