package history

import (
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// at makes a recorder whose operations are put in by hand: from and to in s.
type at struct {
	from, to int64
	in, out  any
}

func check(first config, ops ...at) Verdict {
	r := NewRecorder(first.revision, first.value)
	r.began = r.began.Add(-time.Hour)
	for _, op := range ops {
		p := porcupine.Operation{Input: op.in, Output: op.out, Call: op.from * 1e9, Return: op.to * 1e9}
		if _, ok := op.in.(change); ok {
			r.config = append(r.config, p)
		} else {
			r.placements = append(r.placements, p)
		}
	}
	return r.Check()
}

func TestHistories(t *testing.T) {
	read := func(rev uint64, v string) (any, any) { return change{read: true}, told{Applied, config{rev, v}} }
	apply := func(base uint64, v string, o Outcome) (any, any) {
		return change{base: base, value: v}, told{o, config{base + 1, v}}
	}
	op := func(from, to int64, in, out any) at { return at{from, to, in, out} }
	mk := func(from, to int64, pair func() (any, any)) at { in, out := pair(); return op(from, to, in, out) }
	r := func(from, to int64, rev uint64, v string) at {
		return mk(from, to, func() (any, any) { return read(rev, v) })
	}
	a := func(from, to int64, base uint64, v string, o Outcome) at {
		return mk(from, to, func() (any, any) { return apply(base, v, o) })
	}
	p := func(from, to int64, epoch uint64, owner string) at {
		return op(from, to, look{stream: "s"}, ownership{epoch, owner})
	}
	h := func(from, to int64, epoch uint64, owner string) at {
		return op(from, to, look{stream: "s", held: true}, ownership{epoch, owner})
	}
	first := config{1, "a"}
	for _, c := range []struct {
		name string
		ops  []at
		bad  bool
	}{
		{"one after the other", []at{r(0, 1, 1, "a"), a(1, 2, 1, "b", Applied), r(2, 3, 2, "b")}, false},
		{"a read that is late", []at{a(1, 2, 1, "b", Applied), r(3, 4, 1, "a")}, true},
		{"a read beside a write", []at{a(1, 5, 1, "b", Applied), r(2, 3, 1, "a"), r(3, 4, 2, "b")}, false},
		{"two reads that disagree on it", []at{a(1, 6, 1, "b", Applied), r(2, 3, 2, "b"), r(4, 5, 1, "a")}, true},
		{"an acknowledged write is lost", []at{a(1, 2, 1, "b", Applied), a(3, 4, 1, "c", Applied)}, true},
		{"both with one base", []at{a(1, 4, 1, "b", Applied), a(1, 4, 1, "c", Conflict), r(5, 6, 2, "b")}, false},
		{"a conflict without a cause", []at{a(1, 2, 1, "b", Conflict)}, true},
		{"an unknown write that was done", []at{a(1, 2, 1, "b", Unknown), r(5, 6, 2, "b")}, false},
		{"an unknown write that was not", []at{a(1, 2, 1, "b", Unknown), r(5, 6, 1, "a"), a(7, 8, 1, "c", Applied)}, false},
		{"an unknown write that was undone", []at{a(1, 2, 1, "b", Unknown), r(3, 4, 2, "b"), r(5, 6, 1, "a")}, true},
		{"epochs that rise", []at{p(0, 1, 7, "o1"), p(1, 2, 7, ""), p(2, 3, 9, "o2"), h(3, 4, 7, "o1")}, false},
		{"an epoch that falls", []at{p(0, 1, 9, "o2"), p(2, 3, 7, "o1")}, true},
		{"two owners of an epoch", []at{p(0, 1, 9, "o2"), h(2, 3, 9, "o1")}, true},
		{"a read that does not know of an epoch that was given out", []at{h(0, 1, 9, "o2"), p(2, 3, 7, "o1")}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := check(first, c.ops...)
			if (v.Fault != "") != c.bad {
				t.Errorf("%+v", v)
			}
			if c.bad && !strings.Contains(v.Fault, "explained, not client") {
				t.Errorf("the fault is not named: %q", v.Fault)
			}
		})
	}
}

// What is recorded by the clock is judged as what is put in by hand.
func TestRecorder(t *testing.T) {
	r := NewRecorder(1, "a")
	r.Read(1, time.Now(), 1, "a")
	r.Apply(1, time.Now(), 1, "b", Applied, 2)
	r.Apply(2, time.Now(), 2, "x", Unknown, 0)
	r.Placed(1, time.Now(), "s", 5, "o1")
	r.Held(1, time.Now(), "s", 5, "o1")
	if v := r.Check(); v.Fault != "" || v.Config != 3 || v.Open != 1 || v.Placements != 2 {
		t.Errorf("%+v", v)
	}
	r.Read(1, time.Now(), 1, "a")
	if v := r.Check(); v.Fault == "" {
		t.Error("a read of what was replaced is taken")
	}
}
