package replica_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"tmms/cluster/consensus"
)

// damage leaves a newest snapshot that can't be restored, and no log to make up for it.
func damage(t *testing.T, dir string) {
	t.Helper()
	at := filepath.Join(dir, "snapshots", "9-100000-1")
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at, "meta.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// badDisk is a store of which writes fail, or hang.
type badDisk struct {
	consensus.Store

	mu   sync.Mutex
	full bool
	hang chan struct{}
}

func (d *badDisk) wrap(s consensus.Store) consensus.Store {
	d.Store = s
	return d
}

func (d *badDisk) set(full bool, hang chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.hang = full, hang
}

func (d *badDisk) fault() error {
	d.mu.Lock()
	full, hang := d.full, d.hang
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if full {
		return syscall.ENOSPC
	}
	return nil
}

func (d *badDisk) write(op func() error) error {
	if err := d.fault(); err != nil {
		return err
	}
	return op()
}

func (d *badDisk) StoreLogs(l []*consensus.Entry) error {
	return d.write(func() error { return d.Store.StoreLogs(l) })
}

func (d *badDisk) Set(k, v []byte) error { return d.write(func() error { return d.Store.Set(k, v) }) }

func (d *badDisk) SetUint64(k []byte, v uint64) error {
	return d.write(func() error { return d.Store.SetUint64(k, v) })
}

// Case: full-disk. Case: slow-disk. Requirement: C5 (the leader's disk takes nothing
// any more: the others choose another leader, nothing acknowledged is lost, the node
// still reaches the group and its streams stay its own; it comes back by itself).
func TestBadDisk(t *testing.T) {
	for name, full := range map[string]bool{"full": true, "slow": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, "a", "b", "c")
			c.lease = time.Second
			defer c.dump()
			disks := map[*process]*badDisk{}
			var list []*process
			for _, v := range c.voters {
				d := &badDisk{}
				p := c.start(v.Name, options{disk: d.wrap})
				disks[p], list = d, append(list, p)
			}
			for _, p := range list {
				p.waitReady()
			}
			c.upsert(c.byName(list), "origin")
			leader, others := leaderOf(t, list)
			mine, err := leader.node.Claim(t.Context(), key("mine"))
			if err != nil {
				t.Fatal(err)
			}
			hang := make(chan struct{})
			if full {
				disks[leader].set(true, nil)
			} else {
				disks[leader].set(false, hang)
			}
			began := time.Now()
			acked, err := others[0].node.Claim(t.Context(), key("acked"))
			if err != nil {
				t.Fatalf("a claim while the leader's disk is bad: %v", err)
			}
			t.Logf("claimed after %s", time.Since(began))
			next, _ := leaderOf(t, others)
			if leader.IsLeader() || leader.Trouble() == nil || full && !errors.Is(leader.Trouble(), syscall.ENOSPC) {
				t.Errorf("the former leader leads: %v, its trouble: %v", leader.IsLeader(), leader.Trouble())
			}
			if _, _, known := leader.Leader(); known {
				t.Error("the former leader knows a leader")
			}
			if _, err = leader.node.Claim(t.Context(), key("through")); err != nil {
				t.Errorf("a claim of the node with the bad disk: %v", err)
			}
			since := time.Now()
			eventually(t, "its lease is renewed for longer than a term", func() bool {
				return time.Since(since) > c.lease+c.lease/2
			})
			if got, ok := next.node.Placement(key("mine")); !ok || !sameOwner(got, mine) {
				t.Errorf("its stream was taken from it: %+v", got)
			}

			disks[leader].set(false, nil)
			close(hang)
			eventually(t, "it follows again", func() bool {
				_, by, known := leader.Leader()
				got, ok := leader.node.Placement(key("acked"))
				_, own := leader.node.Placement(key("through"))
				return known && by != "" && ok && own && sameOwner(got, acked) && leader.Trouble() == nil
			})
		})
	}
}
