package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// serials are the serial numbers on the list.
func serials(s *State) (list []string) {
	for _, r := range s.Revocations().All() {
		list = append(list, r.Node+r.Serial)
	}
	return list
}

func TestRevokeForgetsTheNode(t *testing.T) {
	s := initialized(t)
	key := Key{"d", "a", "s"}
	run(t, s, UpsertNode{Node{ID: "1", Name: "n"}}, UpsertNode{Node{ID: "2", Name: "m"}}, Claim{Key: key, Node: "1"})
	before := s.Revocations()
	got, ok := run(t, s, Revoke{Revocation{Node: "n", AtUnixMS: 5, UntilUnixMS: 9, By: "ops"}}).(RevokeResult)
	if !ok || got.Lost != 1 || got.Revocation.Node != "n" || got.Revocation.AtUnixMS != 5 {
		t.Errorf("%+v", got)
	}
	if before.Len() != 0 || s.Revocations().Len() != 1 {
		t.Error("a list that was given has changed, or the state's has not")
	}
	if _, known := s.Node("1"); known || s.NodeCount() != 1 {
		t.Errorf("nodes %+v", s.Nodes())
	}
	orphans := s.Orphans()
	if len(orphans) != 1 || orphans[0].LostBy != "1" || orphans[0].LostAtMS != 5 {
		t.Errorf("orphans %+v", orphans)
	}
	// It comes back, and is revoked again: the later time counts, also of a clock that is behind.
	run(t, s, UpsertNode{Node{ID: "1", Name: "n"}}, Revoke{Revocation{Node: "n", AtUnixMS: 4, UntilUnixMS: 8}})
	if r := s.Revocations().All()[0]; s.Revocations().Len() != 1 || r.AtUnixMS != 5 || r.UntilUnixMS != 9 || r.By != "" {
		t.Errorf("%+v", s.Revocations().All())
	}
}

func TestRevocationsEnd(t *testing.T) {
	s := initialized(t)
	for _, bad := range []Revocation{{}, {Node: "n", Serial: "5f"}} {
		if err, _ := run(t, s, Revoke{bad}).(error); !errors.Is(err, ErrRevokesNothing) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	run(t, s, Revoke{Revocation{Serial: "5f", UntilUnixMS: 10}}, Revoke{Revocation{Serial: "5e", UntilUnixMS: 20}},
		Revoke{Revocation{Node: "n", AtUnixMS: 9, UntilUnixMS: 30}})
	if got := serials(s); len(got) != 3 || got[0] != "5e" || got[1] != "5f" || got[2] != "n" {
		t.Errorf("%v", got)
	}
	if r := run(t, s, DropRevocations{AtUnixMS: 9}); r != (DropResult{}) {
		t.Errorf("too early: %+v", r)
	}
	if r := run(t, s, DropRevocations{AtUnixMS: 10}); r != (DropResult{Dropped: 1}) || len(serials(s)) != 2 {
		t.Errorf("%+v leaves %v", r, serials(s))
	}
	run(t, s, Revoke{Revocation{Serial: "60", AtUnixMS: 20, UntilUnixMS: 40}})
	if got := serials(s); len(got) != 2 || got[0] != "60" || got[1] != "n" {
		t.Errorf("%v", got)
	}
}

// A state without revocations is written as a former release reads it.
func TestSnapshotVersions(t *testing.T) {
	s := initialized(t)
	for _, want := range []uint32{snapshotPlain, snapshotRevoked} {
		b, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if got := binary.BigEndian.Uint32(b[8:]); got != want {
			t.Errorf("version %d, want %d", got, want)
		}
		again := New()
		if err = again.Restore(b); err != nil || again.Revocations().Len() != s.Revocations().Len() {
			t.Errorf("%v, %d revocations", err, again.Revocations().Len())
		}
		run(t, s, Revoke{Revocation{Serial: "5f", UntilUnixMS: 10}})
	}
	body := []byte(`{"revocations":[{"node":"n"},{"node":"a"}]}`)
	if err := s.Restore(sealSnapshot(snapshotVersion, body)); !errors.Is(err, ErrSnapshot) || !bytes.Contains([]byte(err.Error()), []byte("order")) {
		t.Errorf("a list out of order: %v", err)
	}
}
