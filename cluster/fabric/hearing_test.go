package fabric

import (
	"testing"
	"time"
)

// TestHearing: a silence is the time in which this process listened and nothing came.
func TestHearing(t *testing.T) {
	h := &hearing{at: map[string]time.Time{}}
	f := &Fabric{}
	now := time.Unix(1000, 0)
	silence := func(name string) time.Duration {
		f.hearing.at, f.hearing.looked = h.at, h.looked
		_, silent, ok := f.Heard(name)
		if !ok {
			return -1
		}
		return silent
	}
	look := func(after time.Duration, heard ...string) {
		now = now.Add(after)
		h.note(heard, now)
	}
	look(0, "a", "b")
	for range 20 {
		look(hearingLook, "b")
	}
	if a, b := silence("a"), silence("b"); a != 20*hearingLook || b != 0 || silence("c") != -1 {
		t.Errorf("a is silent for %s, b for %s", a, b)
	}
	// Case: sigstop-15s. Nobody is more silent for it, and who speaks then is heard.
	look(15 * time.Second)
	if a, b := silence("a"), silence("b"); a != 21*hearingLook || b != hearingLook {
		t.Errorf("after a stop a is silent for %s, b for %s", a, b)
	}
	look(hearingLook, "a")
	if a := silence("a"); a != 0 {
		t.Errorf("a has spoken, and is silent for %s", a)
	}
	for range 2 * int(peerForget/(2*hearingLook)) {
		look(2*hearingLook, "a")
	}
	if silence("b") != -1 || silence("a") != 0 {
		t.Errorf("b was not forgotten, or a was")
	}
}
