package state

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"tmms/media"
)

func goodToken() JoinToken {
	return JoinToken{
		ID: strings.Repeat("0a", media.JoinTokenID), Hash: strings.Repeat("0b", 32), Roles: []string{"edge"},
		AtUnixMS: 1, UntilUnixMS: 1 + media.MinJoinTokenLife.Milliseconds(), Uses: 1,
	}
}

// What must not get into the log is refused before, with the limit.
func TestTokenChecks(t *testing.T) {
	if err := (PutToken{goodToken()}).Check(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*JoinToken){
		"token id":            func(j *JoinToken) { j.ID = "x" },
		"want 10 hex digits":  func(j *JoinToken) { j.ID = strings.ToUpper(j.ID) },
		"the hash has":        func(j *JoinToken) { j.Hash = j.Hash[2:] },
		"0 uses":              func(j *JoinToken) { j.Uses = 0 },
		"10001 uses":          func(j *JoinToken) { j.Uses = media.MaxJoinUses + 1 },
		"a life of 59999 ms":  func(j *JoinToken) { j.UntilUnixMS-- },
		"a life of":           func(j *JoinToken) { j.UntilUnixMS = 2 + media.MaxJoinTokenLife.Milliseconds() },
		"used before":         func(j *JoinToken) { j.LastKey = "k" },
		"region, name prefix": func(j *JoinToken) { j.Region = strings.Repeat("r", media.MaxPlace+1) },
		"none, want origin":   func(j *JoinToken) { j.Roles = nil },
		"want origin, edge":   func(j *JoinToken) { j.Roles = []string{"client"} },
		`"edge" "edge"`:       func(j *JoinToken) { j.Roles = []string{"edge", "edge"} },
	} {
		j := goodToken()
		change(&j)
		if err := (PutToken{j}).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	use := UseToken{ID: goodToken().ID, Hash: goodToken().Hash, Key: goodToken().Hash, Node: "e1", Roles: []string{"edge"}}
	if err := use.Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*UseToken){
		"have 10, 64 and 0 bytes": func(u *UseToken) { u.Key = "" },
		"a node of 0 bytes":       func(u *UseToken) { u.Node = "" },
		"a node of 64 bytes":      func(u *UseToken) { u.Node = strings.Repeat("n", media.MaxNodeName+1) },
		"none, want":              func(u *UseToken) { u.Roles = nil },
	} {
		u := use
		change(&u)
		if err := u.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if (DropToken{}).Check() != nil || (DropToken{ID: "x"}).Check() == nil {
		t.Error("which tokens can be dropped?")
	}
}

// Tokens need their level, are in snapshots of their own version only if there are
// any, and are not brought back by a backup: one may have been revoked since.
//
// Requirement: C5
func TestTokensInState(t *testing.T) {
	put := PutToken{goodToken()}
	for _, c := range []Command{put, UseToken{}, DropToken{}, UpsertNode{Node{Issues: true}}} {
		if Needs(c) != 2 {
			t.Errorf("%T needs level %d", c, Needs(c))
		}
	}
	s := full(t)
	before, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	run(t, s, put)
	after, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	version := func(b []byte) uint32 { return binary.BigEndian.Uint32(b[8:]) }
	if version(before) >= snapshotTokens || version(after) != snapshotTokens {
		t.Errorf("snapshots of the versions %d and %d", version(before), version(after))
	}
	again := New()
	if err = again.Restore(after); err != nil {
		t.Fatal(err)
	}
	if j, ok := again.JoinToken(put.Token.ID); !ok || j.Uses != 1 || len(again.JoinTokens()) != 1 {
		t.Errorf("restored: %+v", again.JoinTokens())
	}
	run(t, s, DropToken{ID: put.Token.ID})
	run(t, s, backup(t, again))
	if left := s.JoinTokens(); len(left) != 0 {
		t.Errorf("a backup has brought back %+v", left)
	}
	if err := noToken("x"); !errors.Is(err, ErrToken) {
		t.Error(err)
	}
}
