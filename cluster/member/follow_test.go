package member

import (
	"bytes"
	"strconv"
	"testing"

	"tmms/cluster/state"
)

func mustApply(tb testing.TB, c *Copy, index uint64, cmd state.Command) {
	tb.Helper()
	b, err := state.Encode(cmd)
	if err == nil {
		_, err = c.Apply(index, b)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// begun gives a copy with n claims after the first command.
func begun(tb testing.TB, cluster string, n int) *Copy {
	tb.Helper()
	c := NewCopy()
	mustApply(tb, c, 1, state.Init{UnixSeconds: 1, ClusterID: cluster})
	for i := range n {
		mustApply(tb, c, uint64(i+2), state.Claim{Key: state.Key{Stream: strconv.Itoa(i % 10)}, Node: "n"})
	}
	return c
}

// follow applies what Since gives until there is nothing more.
func follow(tb testing.TB, from *Copy, to *Copy) (snapshots, commands int) {
	tb.Helper()
	for {
		changes, next, err := from.Since(to.ClusterID(), to.AppliedIndex())
		if err != nil {
			tb.Fatal(err)
		}
		if len(changes) == 0 {
			if next == nil {
				tb.Fatal("nothing to wait on")
			}
			return snapshots, commands
		}
		for _, c := range changes {
			if c.Snapshot != nil {
				err = to.Restore(c.Snapshot)
				snapshots++
			} else {
				_, err = to.Apply(c.Index, c.Command)
				commands++
			}
			if err != nil || to.AppliedIndex() != c.Index {
				tb.Fatalf("at %d after %+v: %v", to.AppliedIndex(), c.Index, err)
			}
		}
	}
}

func equal(tb testing.TB, a, b *Copy) {
	tb.Helper()
	x, err := a.Backup()
	if err != nil {
		tb.Fatal(err)
	}
	y, err := b.Backup()
	if err != nil || !bytes.Equal(x, y) {
		tb.Errorf("the copies differ: %v", err)
	}
}

// Requirement: C5 (a copy goes on by commands from its index if they are still
// known, else by a snapshot).
func TestSince(t *testing.T) {
	leader := begun(t, "one", 100)
	c := NewCopy()
	if s, n := follow(t, leader, c); s != 0 || n != 101 {
		t.Errorf("from nothing: %d snapshots and %d commands", s, n)
	}
	mustApply(t, leader, 200, state.Release{}) // raft has entries of its own in between
	if s, n := follow(t, leader, c); s != 0 || n != 1 {
		t.Errorf("after a break: %d snapshots and %d commands", s, n)
	}
	equal(t, leader, c)

	for i := range uint64(ringEntries + 5) {
		mustApply(t, leader, 201+i, state.Release{})
	}
	if s, n := follow(t, leader, c); s != 1 || n != 0 {
		t.Errorf("after a long break: %d snapshots and %d commands", s, n)
	}
	equal(t, leader, c)

	mustApply(t, leader, 201+ringEntries+5, state.Release{})
	late := NewCopy()
	if s, n := follow(t, leader, late); s != 1 || n != 1 {
		t.Errorf("those who begin share a snapshot: %d snapshots and %d commands", s, n)
	}
	equal(t, leader, late)

	restored := NewCopy()
	b, err := leader.Backup()
	if err != nil {
		t.Fatal(err)
	}
	if err = restored.Restore(b); err != nil {
		t.Fatal(err)
	}
	if s, n := follow(t, restored, begun(t, "one", 3)); s != 1 || n != 0 {
		t.Errorf("after a restore: %d snapshots and %d commands", s, n)
	}
	stranger := begun(t, "two", 3)
	if s, _ := follow(t, leader, stranger); s != 1 {
		t.Error("a copy of another cluster did not get a snapshot")
	}
	equal(t, leader, stranger)
	if changes, next, err := begun(t, "one", 1).Since("one", 10_000); err != nil || changes != nil || next == nil {
		t.Errorf("a copy that is ahead got %+v, %v", changes, err)
	}
}

func TestRingIsBounded(t *testing.T) {
	var r ring
	big := make([]byte, ringBytes/4)
	for i := range uint64(10) {
		r.add(entry{index: i + 1, command: big})
	}
	if r.bytes > ringBytes || len(r.entries) != 4 || r.floor != 6 {
		t.Errorf("%d bytes in %d commands after %d", r.bytes, len(r.entries), r.floor)
	}
	for i := range uint64(2 * ringEntries) {
		r.add(entry{index: 11 + i, command: []byte("x")})
	}
	if len(r.entries) != ringEntries || r.bytes != ringEntries || r.after(r.floor)[0].Index != r.floor+1 {
		t.Errorf("%d bytes in %d commands after %d", r.bytes, len(r.entries), r.floor)
	}
	if n := len(r.after(r.floor)); n != batchEntries {
		t.Errorf("%d commands at once", n)
	}
}
