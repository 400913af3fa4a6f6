package gossip

import (
	"errors"
	"testing"
	"time"

	"tmms/cluster/placement"
)

func placeCases() []placement.Coordinate {
	far := placement.Origo().Moved(placement.Origo(), 300*time.Millisecond, 5)
	return []placement.Coordinate{placement.Origo(), far, far.Moved(placement.Origo(), time.Millisecond, 5)}
}

func TestPlace(t *testing.T) {
	for _, c := range placeCases() {
		b := encodePlace(c)
		got, err := parsePlace(append(b, "of a later version"...))
		if err != nil || len(b) != placeBytes {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		if off := got.RTT(c) - c.RTT(c); off > time.Microsecond || off < -time.Microsecond {
			t.Errorf("%+v became %+v", c, got)
		}
		for i := range b {
			if _, err := parsePlace(b[:i]); !errors.Is(err, errPlace) {
				t.Errorf("%d of %d bytes: %v", i, len(b), err)
			}
		}
	}
}

// What another node says of its place is a place, or is left out.
func FuzzParsePlace(f *testing.F) {
	for _, c := range placeCases() {
		f.Add(encodePlace(c))
	}
	f.Add([]byte("\x01\x7f\xc0\x00\x00\x7f\x80\x00\x00\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parsePlace(b)
		if err != nil {
			return
		}
		if !c.Valid() {
			t.Fatalf("%+v", c)
		}
		if moved := placement.Origo().Moved(c, time.Second, 1); !moved.Valid() {
			t.Fatalf("%+v", moved)
		}
		if _, err := parsePlace(encodePlace(c)); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
	})
}
