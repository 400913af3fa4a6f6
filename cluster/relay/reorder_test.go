package relay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"tmms/media"
	"tmms/media/relaywire"
)

// collected is what a reorder has let out.
type collected struct{ got []string }

func (c *collected) beginGroup(h *relaywire.GroupHeader) {
	c.got = append(c.got, fmt.Sprintf("g%d", h.Seq))
}

func (c *collected) packet(p *media.Packet) error {
	c.got = append(c.got, string(p.Body))
	return nil
}

// TestReorderProperty: however the groups interleave, with headers that come
// twice refused and skipped groups, packets go out in order.
func TestReorderProperty(t *testing.T) {
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 2))
		groups := 1 + rng.IntN(20)
		type source struct {
			seq     uint64
			packets int
			sent    int
			opened  bool
			skip    bool // given up after sent packets
		}
		var open []*source
		var want []string
		for seq := range groups {
			s := &source{seq: uint64(seq), packets: rng.IntN(6), skip: rng.IntN(5) == 0}
			want = append(want, fmt.Sprintf("g%d", seq))
			for i := range s.packets {
				want = append(want, fmt.Sprintf("%d.%d", seq, i))
			}
			open = append(open, s)
		}
		out := &collected{}
		r := newReorder(out)
		startAt := rng.IntN(10)
		for step := 0; len(open) > 0; step++ {
			if step == startAt {
				check(t, r.start())
			}
			i := rng.IntN(min(len(open), 5))
			s := open[i]
			switch {
			case !s.opened:
				s.opened = true
				check(t, r.open(&relaywire.GroupHeader{Seq: s.seq}))
			case s.sent < s.packets:
				body := []byte(fmt.Sprintf("%d.%d", s.seq, s.sent))
				s.sent++
				check(t, r.put(s.seq, &media.Packet{Body: body}))
				clear(body) // it is only good during the call
			default:
				if s.skip {
					check(t, r.skip(s.seq))
				} else {
					check(t, r.finish(s.seq))
				}
				open = append(open[:i], open[i+1:]...)
			}
		}
		check(t, r.start())
		if fmt.Sprint(out.got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: got %v\nwant %v", seed, out.got, want)
		}
		if r.bytes != 0 || len(r.held) != 0 || r.waiting() {
			t.Fatalf("seed %d: %d bytes and %d groups are left", seed, r.bytes, len(r.held))
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReorderIsBounded(t *testing.T) {
	r := newReorder(&collected{})
	check(t, r.start())
	check(t, r.open(&relaywire.GroupHeader{Seq: 1}))
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = r.put(1, &media.Packet{Body: make([]byte, 1<<20)})
	}
	if !errors.Is(err, errReorder) || n != media.MaxReorderBytes>>20+1 {
		t.Errorf("after %d MiB: %v", n, err)
	}
	if err := r.open(&relaywire.GroupHeader{Seq: media.MaxReorderGroups + 1}); !errors.Is(err, errReorder) {
		t.Errorf("a stream far ahead: %v", err)
	}
	if err := r.open(&relaywire.GroupHeader{Seq: 1}); !errors.Is(err, errReorder) {
		t.Errorf("a stream that comes twice: %v", err)
	}
	t.Run("a group that was skipped before it came", func(t *testing.T) {
		out := &collected{}
		r := newReorder(out)
		check(t, r.start())
		check(t, r.skip(1))
		check(t, r.open(&relaywire.GroupHeader{Seq: 2}))
		check(t, r.put(2, &media.Packet{Body: []byte("x")}))
		check(t, r.skip(0))
		check(t, r.put(0, &media.Packet{Body: []byte("late")}))
		check(t, r.finish(2))
		if fmt.Sprint(out.got) != "[g2 x]" {
			t.Errorf("got %v", out.got)
		}
	})
}
