package control

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tmms/cluster/member"
	"tmms/cluster/pki"
	"tmms/cluster/verdict"
	"tmms/media"
)

// TestSeen: what a node says of others arrives as it was meant.
func TestSeen(t *testing.T) {
	told := map[string]verdict.Report{
		"a": {Known: true, Silent: 1600 * time.Millisecond, Media: verdict.Never},
		"b": {Known: true, Silent: 20 * time.Millisecond, Media: 0},
		"c": {Media: verdict.Never},
		"d": {Silent: time.Second, Media: 900 * time.Millisecond, Starting: true},
	}
	s := &Server{deps: ServerDeps{Seen: func(id string) verdict.Report { return told[id] }}}
	body, err := json.Marshal(asking{About: []string{"a", "b", "c", "d"}})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.seen(pki.Peer{Name: "o1"}, body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	var back sightings
	if err := json.Unmarshal(b, &back); err != nil || len(back.Seen) != len(told) {
		t.Fatalf("%s: %v", b, err)
	}
	for _, x := range back.Seen {
		if x.report() != told[x.About] {
			t.Errorf("%s: %+v, want %+v", x.About, x.report(), told[x.About])
		}
	}
}

// TestSeenIsBounded: what makes no sense is refused, or says nothing.
func TestSeenIsBounded(t *testing.T) {
	s := &Server{deps: ServerDeps{Seen: func(string) verdict.Report { return verdict.Report{} }}}
	for _, body := range []string{
		`[]`, `{"about":[""]}`, `{"about":["` + strings.Repeat("x", media.MaxName+1) + `"]}`,
		`{"about":["` + strings.Join(slices.Repeat([]string{"n"}, media.MaxSeen+1), `","`) + `"]}`,
	} {
		if _, err := s.seen(pki.Peer{}, []byte(body)); !errors.Is(err, member.ErrInvalid) {
			t.Errorf("%.80s: %v", body, err)
		}
	}
	if _, err := (&Server{}).seen(pki.Peer{}, []byte(`{}`)); !errors.Is(err, member.ErrInvalid) {
		t.Errorf("a node that keeps nothing: %v", err)
	}
	for _, b := range []string{`{"known":true,"silent_ms":-5}`, `{"media_ms":-1}`, `{"known":true,"silent_ms":9223372036854775807}`} {
		var x sighting
		if err := json.Unmarshal([]byte(b), &x); err != nil {
			t.Fatal(err)
		}
		if r := x.report(); r.Silent < 0 || r.Silent > 24*time.Hour || r.Media != verdict.Never {
			t.Errorf("%s is %+v", b, r)
		}
	}
	for role, want := range map[string]bool{pki.RoleOrigin: true, pki.RoleEdge: false, pki.RoleClient: false} {
		if err := mayCall(pki.Peer{Roles: []string{role}}, methodSeen); (err == nil) != want {
			t.Errorf("%s: %v", role, err)
		}
	}
}

// FuzzSeen: neither a question nor an answer of a peer panics, or gives a time that
// the verdict can't reckon with.
func FuzzSeen(f *testing.F) {
	for _, seed := range []string{
		`{"about":["a","b"]}`, `{"seen":[{"about":"a","known":true,"silent_ms":1600,"media_ms":0}]}`,
		`{"seen":[{"about":"a","silent_ms":-1,"media_ms":-9223372036854775808}]}`, `{"about":[""]}`, `null`,
	} {
		f.Add([]byte(seed))
	}
	s := &Server{deps: ServerDeps{Seen: func(string) verdict.Report { return verdict.Report{} }}}
	f.Fuzz(func(t *testing.T, b []byte) {
		if answer, err := s.seen(pki.Peer{}, b); err == nil && len(answer.Seen) > media.MaxSeen {
			t.Errorf("%d answers", len(answer.Seen))
		}
		var answer sightings
		if json.Unmarshal(b, &answer) != nil {
			return
		}
		for _, x := range answer.Seen {
			r := x.report()
			if r.Silent < 0 || r.Media < verdict.Never || r.Silent > 24*time.Hour || r.Media > 24*time.Hour {
				t.Errorf("%+v gives %+v", x, r)
			}
		}
	})
}
