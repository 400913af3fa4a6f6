package h264

import (
	"bytes"
	"errors"
	"testing"

	"tmms/media"
)

// splitCases feed TestSplit, the converter's and the fuzz seeds.
var splitCases = []struct {
	name    string
	size    int
	payload string
	want    []string // nil: refused
	dropped int
}{
	{"length-1", 1, "\x02ab\x01c", []string{"ab", "c"}, 0},
	{"length-2", 2, "\x00\x02ab\x00\x01c", []string{"ab", "c"}, 0},
	{"length-4", 4, "\x00\x00\x00\x02ab\x00\x00\x00\x01c", []string{"ab", "c"}, 0},
	{"zero-length", 4, "\x00\x00\x00\x00\x00\x00\x00\x01c\x00\x00\x00\x00", []string{"c"}, 2},
	{"overlong", 4, "\x00\x00\x00\x01c\x00\x00\x00\x05abcd", []string{"c"}, 1},
	{"overlong-max", 4, "\x00\x00\x00\x01c\xff\xff\xff\xffabcd", []string{"c"}, 1},
	{"cut-length", 4, "\x00\x00\x00\x01c\x00\x00", []string{"c"}, 1},
	{"zero-then-overlong", 2, "\x00\x01c\x00\x00\x00\x09x", []string{"c"}, 2},
	{"only-overlong", 4, "\x00\x00\x00\x05abcd", nil, 1},
	{"only-zero", 1, "\x00\x00", nil, 2},
	{"only-cut-length", 4, "\x00\x00", nil, 1},
	{"empty", 4, "", nil, 0},
	{"bad-size-3", 3, "\x00\x00\x01c", nil, 0},
	{"bad-size-0", 0, "c", nil, 0},
}

// Requirement: S14: AVCC for length sizes 1, 2, 4; malformed lengths are
// rejected. Case avcc: zero-length and overlong NAL units are dropped and counted.
func TestSplit(t *testing.T) {
	for _, c := range splitCases {
		t.Run(c.name, func(t *testing.T) {
			got, dropped, err := Split(nil, []byte(c.payload), c.size)
			if c.want == nil {
				if !errors.Is(err, ErrMalformed) || len(got) != 0 || dropped != c.dropped {
					t.Fatalf("got %q, %d dropped, error %v; want %v", got, dropped, err, ErrMalformed)
				}
				return
			}
			if err != nil || dropped != c.dropped || len(got) != len(c.want) {
				t.Fatalf("got %q, %d dropped, error %v; want %q, %d", got, dropped, err, c.want, c.dropped)
			}
			for i := range got {
				if string(got[i]) != c.want[i] {
					t.Errorf("NAL unit %d is %q, want %q", i, got[i], c.want[i])
				}
			}
		})
	}
	t.Run("too-many", func(t *testing.T) {
		at := bytes.Repeat([]byte("\x01a"), media.MaxNALUs)
		if got, _, err := Split(nil, at, 1); len(got) != media.MaxNALUs || err != nil {
			t.Errorf("%d NAL units: error %v", len(got), err)
		}
		if _, _, err := Split(nil, append(at, "\x01a"...), 1); !errors.Is(err, ErrMalformed) {
			t.Errorf("over the limit: error %v, want %v", err, ErrMalformed)
		}
	})
}
