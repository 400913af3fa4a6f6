package state

import (
	"errors"
	"reflect"
	"testing"
)

func TestCommandsAreReadBack(t *testing.T) {
	base := uint64(3)
	for _, c := range []Command{
		Init{UnixSeconds: 1, ClusterID: "c"},
		SetConfig{BaseRevision: &base, AtUnixMS: 2, By: "ops", Document: *docOf("a.example")},
		Claim{Key: Key{"d", "a", "s"}, Node: "n", AtUnixMS: 3},
		Release{Key: Key{"d", "a", "s"}, Epoch: 4},
		UpsertNode{Node{ID: "n", Name: "x", Roles: []string{"edge"}, Addresses: map[string]string{"rtmp": ":1"}}},
		RemoveNode{Node: "n", AtUnixMS: 5},
		ExpireNode{Node: "n", MaxEpoch: 6, AtUnixMS: 7},
		DropOrphans{Orphans: []Orphan{{Key: Key{"d", "a", "s"}, Epoch: 8}}},
		Resume{Key: Key{"d", "a", "s"}, Node: "n", Epoch: 9},
		SetStandby{Key: Key{"d", "a", "s"}, Epoch: 9, From: "m", To: "n", InSync: true},
		Move{Key: Key{"d", "a", "s"}, Epoch: 9, To: "n", AtUnixMS: 10},
		FailOver{Node: "n", MaxEpoch: 9, Except: []string{"m"}, AtUnixMS: 10},
		SetDrain{Node: "n", On: true, AtUnixMS: 10, By: "ops"},
		RaiseLevel{Level: 1},
		Restore{AtUnixMS: 10, By: "ops", Backup: []byte{1, 2}},
		Revoke{Revocation{Node: "n", AtUnixMS: 10, UntilUnixMS: 11, By: "ops"}},
		Revoke{Revocation{Serial: "5f", AtUnixMS: 10, UntilUnixMS: 11}},
		DropRevocations{AtUnixMS: 12},
		PutToken{JoinToken{ID: "aa00000001", Hash: "11", Roles: []string{"edge"}, Region: "r", NamePrefix: "e", UntilUnixMS: 9, Uses: 2, By: "ops"}},
		UseToken{ID: "aa00000001", Hash: "11", Node: "e1", Roles: []string{"edge"}, Region: "r", Key: "k", AtUnixMS: 3},
		DropToken{ID: "aa00000001", AtUnixMS: 12},
	} {
		got, err := decodeCommand(mustEncode(t, c))
		if err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%T: got %+v, %v", c, got, err)
		}
	}
}

// FuzzApply: whatever bytes are committed, Apply does not panic, and it either
// gives a result or stops with ErrUnknownCommand.
func FuzzApply(f *testing.F) {
	for _, c := range []Command{
		Init{UnixSeconds: -1},
		SetConfig{Document: *docOf("a.example")},
		Claim{Node: "n"},
		Release{},
		UpsertNode{},
		RemoveNode{},
		ExpireNode{Node: "n", MaxEpoch: 1 << 62},
		DropOrphans{Orphans: []Orphan{{}}},
		Resume{},
		SetStandby{To: "n", InSync: true},
		Move{To: "n"},
		FailOver{Node: "n", MaxEpoch: 1 << 62, Except: []string{"m"}},
		SetDrain{Node: "n", On: true},
		RaiseLevel{Level: 1},
		Revoke{Revocation{Node: "n", UntilUnixMS: 9}},
		Revoke{Revocation{Serial: "5f", UntilUnixMS: 1 << 62}},
		DropRevocations{},
		PutToken{JoinToken{ID: "aa00000001", Hash: "11", Roles: []string{"edge"}, Region: "r", NamePrefix: "e", UntilUnixMS: 9, Uses: 2, By: "ops"}},
		UseToken{ID: "aa00000001", Hash: "11", Node: "e1", Roles: []string{"edge"}, Region: "r", Key: "k", AtUnixMS: 3},
		DropToken{ID: "aa00000001", AtUnixMS: 12},
	} {
		f.Add(mustEncode(f, c))
	}
	f.Add(mustEncode(f, backup(f, full(f))))
	f.Add([]byte(`{"v":1,"type":"claim","data":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := initialized(t)
		if _, err := s.Apply(2, b); err != nil {
			if !errors.Is(err, ErrUnknownCommand) {
				t.Fatal(err)
			}
			return
		}
		snap, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if err := New().Restore(snap); err != nil {
			t.Fatalf("the snapshot is not restored: %v", err)
		}
	})
}

// FuzzRestore: neither damaged bytes nor a well-sealed image of anything panics.
func FuzzRestore(f *testing.F) {
	s := initialized(f)
	run(f, s, SetConfig{Document: *docOf("a.example")}, Claim{Node: "n"}, UpsertNode{Node{ID: "n"}},
		Revoke{Revocation{Serial: "5f", UntilUnixMS: 9}})
	b, err := s.Snapshot()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:60])
	f.Add(b[snapshotHead:])
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, snap := range [][]byte{b, sealSnapshot(snapshotVersion, b)} {
			if err := New().Restore(snap); err != nil && !errors.Is(err, ErrSnapshot) {
				t.Fatal(err)
			}
		}
	})
}
