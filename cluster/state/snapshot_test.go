package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"testing"
)

// full gives a state with something of everything.
func full(tb testing.TB) *State {
	tb.Helper()
	s := initialized(tb)
	doc := docOf("a.example", "b.example")
	doc.Domains[0].Apps[0].Auth = &AuthDoc{Publish: &PublishAuthDoc{Keys: []string{testStored}}}
	run(tb, s, SetConfig{By: "ops", AtUnixMS: 1, Document: *doc}, SetConfig{By: "ops", Document: *docOf("c.example")},
		SetConfig{By: "ops", AtUnixMS: 2, Document: *doc})
	for i := range 50 {
		key := Key{Domain: "a.example", App: "live", Stream: fmt.Sprint("s", i*37%50)}
		run(tb, s, Claim{Key: key, Node: fmt.Sprint("n", i%3), AtUnixMS: int64(i)},
			UpsertNode{Node{ID: fmt.Sprint("n", i%3), Roles: []string{"edge", "origin"}, Addresses: map[string]string{
				"rtmp": ":1935", "http": ":8080", "admin": ":8090",
			}}})
	}
	run(tb, s, Revoke{Revocation{Node: "gone", AtUnixMS: 3, UntilUnixMS: 9}},
		Revoke{Revocation{Serial: "5f", AtUnixMS: 4, UntilUnixMS: 9, By: "ops"}})
	return s
}

// Requirement: C5 (a replica that is restored equals the one that was snapshotted).
func TestSnapshotRestore(t *testing.T) {
	s := full(t)
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	restored := New()
	if err = restored.Restore(b); err != nil {
		t.Fatal(err)
	}
	again, err := restored.Snapshot()
	if err != nil || !bytes.Equal(b, again) {
		t.Fatalf("the snapshot of the restored state differs: %v", err)
	}
	if restored.Config().Revision() != 3 || restored.Index() != s.Index() {
		t.Errorf("revision %d, index %d", restored.Config().Revision(), restored.Index())
	}
	app := restored.Config().findApp("a.example", "live")
	if app == nil || !app.CheckPublishKey(testKey) || app.CheckPublishKey("other") {
		t.Error("the publish key was lost")
	}
	// Both go on alike: the epoch counter is kept, not raised.
	next := Claim{Key: Key{"a.example", "live", "later"}, Node: "n1"}
	if a, b := run(t, s, next), run(t, restored, next); a != b {
		t.Errorf("%+v and %+v", a, b)
	}
}

func TestEmptySnapshot(t *testing.T) {
	b, err := New().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := New().Restore(b); err != nil {
		t.Fatal(err)
	}
}

// Case: corrupt-snapshot.
func TestRestoreRefusesDamage(t *testing.T) {
	good, err := full(t).Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	damaged := map[string][]byte{"empty": nil, "trailing byte": append(bytes.Clone(good), 0)}
	for _, n := range []int{1, 8, 51, 52, 53, len(good) / 2, len(good) - 1} {
		damaged[fmt.Sprint("cut at ", n)] = good[:n]
	}
	for _, n := range []int{0, 7, 8, 11, 12, 19, 20, 51, 52, len(good) / 2, len(good) - 1} {
		b := bytes.Clone(good)
		b[n] ^= 0x10
		damaged[fmt.Sprint("bit at ", n)] = b
	}
	later := bytes.Clone(good)
	binary.BigEndian.PutUint32(later[8:], snapshotVersion+1)
	damaged["later version"] = later
	ofLater, cut := New().Restore(later), New().Restore(later[:len(later)-1])
	if !errors.Is(ofLater, ErrNewer) || errors.Is(cut, ErrNewer) {
		t.Errorf("a later version: %v; one that is damaged: %v", ofLater, cut)
	}
	for name, b := range damaged {
		t.Run(name, func(t *testing.T) {
			s := initialized(t)
			before, _ := s.Snapshot()
			if err := s.Restore(b); !errors.Is(err, ErrSnapshot) {
				t.Fatalf("got %v", err)
			}
			if after, _ := s.Snapshot(); !bytes.Equal(before, after) {
				t.Error("the state has changed")
			}
		})
	}
}

// A snapshot of version 1, which knew no orphans, is restored by every later
// version, and is the state that its log leads to.
func TestRestoreOldSnapshots(t *testing.T) {
	for _, name := range []string{"placement", "config"} {
		old, err := os.ReadFile("testdata/" + name + "-v1.snapshot")
		if err != nil {
			t.Fatal(err)
		}
		restored := New()
		if err := restored.Restore(old); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, _ := replay(t, "testdata/"+name+".jsonl")
		a, errA := restored.Snapshot()
		b, errB := want.Snapshot()
		if errors.Join(errA, errB) != nil || !bytes.Equal(a, b) {
			t.Errorf("%s: the restored state differs from the replayed", name)
		}
		if v := binary.BigEndian.Uint32(a[8:]); v != snapshotPlain {
			t.Errorf("%s: written anew as version %d", name, v)
		}
	}
}
