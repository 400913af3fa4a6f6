package consensus

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// slowStore is a store each of whose writes takes some time.
type slowStore struct {
	Store

	delay atomic.Int64 // nanoseconds
	terms atomic.Int64 // nanoseconds, of a new term
}

func (s *slowStore) wait() { <-time.After(time.Duration(s.delay.Load())) }

func (s *slowStore) StoreLogs(l []*raft.Log) error {
	s.wait()
	return s.Store.StoreLogs(l)
}

func (s *slowStore) StoreLog(l *raft.Log) error {
	s.wait()
	return s.Store.StoreLog(l)
}

func (s *slowStore) SetUint64(k []byte, v uint64) error {
	if string(k) == "CurrentTerm" {
		<-time.After(time.Duration(s.terms.Load()))
	}
	return s.Store.SetUint64(k, v)
}

// Case: slow-disk. A voter whose disk takes its time to begin a term leads later than raft
// waits for, and was handed the leadership all the same.
func TestTransferToASlowDisk(t *testing.T) {
	stores := map[string]*slowStore{}
	nodes := groupOf(t, 3, func(cfg *Config, deps *Deps) {
		s := &slowStore{}
		stores[cfg.Name], cfg.Heartbeat = s, time.Second
		deps.Wrap = func(inner Store) Store {
			s.Store = inner
			return s
		}
	})
	leader, others := leaderOf(t, nodes)
	to := others[0]
	stores[to.cfg.Name].terms.Store(int64(1300 * time.Millisecond)) // raft waits for a heartbeat
	if name, err := leader.Transfer(t.Context(), to.ID()); err != nil || name != to.cfg.Name {
		t.Errorf("%q leads, %v; want %q", name, err, to.cfg.Name)
	}
	if id, _, _ := leader.Leader(); id != to.ID() {
		t.Errorf("%s leads", id)
	}
}

// Case: slow-disk. Two slow writes within half a minute make a disk slow, for a minute
// after the last of them; it is not cut off for that.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowStore{Store: raft.NewInmemStore()}
		d := newDisk(store, slog.New(slog.DiscardHandler), slowWrite, func(bool) { t.Error("it is cut off") })
		write := func(took time.Duration) bool {
			store.delay.Store(int64(took))
			if err := d.StoreLogs([]*raft.Log{{Index: 1, Data: []byte("x")}}); err != nil {
				t.Fatal(err)
			}
			return d.isSlow(time.Now())
		}
		for _, step := range []struct {
			took, pause time.Duration // the write, and what is waited for before
			slow        bool
		}{
			{time.Second - time.Millisecond, 0, false},
			{time.Second - time.Millisecond, 0, false},
			{time.Second, 0, false}, // one alone
			{time.Second, 31 * time.Second, false},
			{4 * time.Second, 10 * time.Second, true},
			{0, 50 * time.Second, true},
			{0, 15 * time.Second, false}, // it has recovered
			{time.Second, 0, false},
			{time.Second, 0, true},
		} {
			time.Sleep(step.pause)
			if got := write(step.took); got != step.slow {
				t.Errorf("%+v: %t", step, got)
			}
		}
		if got := d.slowWrites.Load(); got != 5 {
			t.Errorf("%d slow writes are counted", got)
		}
	})
}

// Case: slow-disk. A leader whose disk is slow hands over to a voter whose disk is not,
// past one whose disk is as slow; and where there is none it leads on.
func TestSlowDiskOfALeader(t *testing.T) {
	stores := map[string]*slowStore{}
	logs := &logBuffer{}
	nodes := groupOf(t, 3, func(cfg *Config, deps *Deps) {
		s := &slowStore{}
		stores[cfg.Name] = s
		cfg.Heartbeat, cfg.SlowDisk, cfg.Lease = 2*time.Second, 1250*time.Millisecond, 30*time.Second
		deps.Log = slog.New(slog.NewTextHandler(logs, nil))
		deps.Wrap = func(inner Store) Store {
			s.Store = inner
			return s
		}
	})
	leader, others := leaderOf(t, nodes)
	slow := func(r *running) { stores[r.cfg.Name].delay.Store(int64(350 * time.Millisecond)) }
	n := 0
	write := func(ok func() bool) {
		t.Helper()
		eventually(t, "what slow writes lead to", func() bool {
			n++
			if _, err := nodes[0].Claim(t.Context(), key(fmt.Sprint("s", n))); err != nil {
				t.Fatal(err)
			}
			return ok()
		})
	}
	sound := others[1]
	slow(others[0])
	write(others[0].slowDisk)
	slow(leader)
	write(func() bool { return sound.leading.Load() != nil })
	if got := leader.yields.count.Load(); got != 1 || others[0].yields.count.Load() != 0 {
		t.Errorf("the leadership was given up %d times, and %d\n%s", got, others[0].yields.count.Load(), logs.String())
	}
	slow(sound)
	asked := time.Now()
	write(func() bool { return sound.slowDisk() && time.Since(asked) > 3*time.Second })
	if !sound.IsLeader() || sound.yields.count.Load() != 0 {
		t.Errorf("a leader gives up, and every disk is slow\n%s", logs.String())
	}
}
