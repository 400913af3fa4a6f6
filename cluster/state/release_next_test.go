//go:build next

package state

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"tmms/media"
)

// Requirement: C5 (what a release adds needs its level, and leaves a snapshot as it
// was until it is used).
func TestNextRelease(t *testing.T) {
	s := full(t)
	before, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	c := SetNotice{Text: "maintenance"}
	if need := Needs(c); need != Level || c.Check() != nil {
		t.Errorf("needs level %d, %v", need, c.Check())
	}
	if (SetNotice{Text: strings.Repeat("x", media.MaxName+1)}).Check() == nil {
		t.Error("a notice may be as long as it likes")
	}
	b, err := Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	if result, fault := s.Apply(s.Index()+1, b); result != nil || fault != nil {
		t.Fatalf("%v, %v", result, fault)
	}
	after, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	const version = 8 // where it is
	if was, is := binary.BigEndian.Uint32(before[version:]), binary.BigEndian.Uint32(after[version:]); was >= snapshotVersion || is != snapshotVersion {
		t.Errorf("the snapshots have the versions %d and %d", was, is)
	}
	restored := New()
	if err = restored.Restore(after); err != nil || restored.Notice() != c.Text {
		t.Errorf("%q, %v", restored.Notice(), err)
	}
	if _, err = Decode([]byte(`{"v":1,"type":"set_notice","data":{"text":"x","more":1}}`)); !errors.Is(err, ErrUnknownCommand) {
		t.Errorf("one more field: %v", err)
	}
}
