package history

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// config is the state of the config's model.
type config struct {
	revision uint64
	value    string
}

// change is an operation on the config.
type change struct {
	read  bool
	base  uint64
	value string
}

// told is what became of it.
type told struct {
	outcome Outcome
	config  config
}

// configModel is a register that is replaced where its revision is the expected
// one, and then has the next.
func configModel(first config) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return first },
		Step: func(state, in, out any) (bool, any) {
			now, _ := state.(config)
			c, _ := in.(change)
			t, _ := out.(told)
			return now.step(c, t)
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v gave %+v", in, out) },
	}
}

func (now config) step(c change, t told) (ok bool, next config) {
	applied := config{now.revision + 1, c.value}
	switch {
	case c.read:
		return t.config == now, now
	case t.outcome == Conflict:
		return c.base != now.revision, now
	case t.outcome == Applied:
		return c.base == now.revision && t.config.revision == applied.revision, applied
	case c.base == now.revision: // unknown; if it was never done, it is last
		return true, applied
	}
	return true, now
}

// look is an operation on placements.
type look struct {
	stream string
	held   bool // by the owner, as far as it knows
}

// ownership is the state of a placement's model; nobody but the cluster changes it.
type ownership struct {
	epoch uint64
	owner string // "": not known
}

// placementModel is a stream's epochs, which only rise, with one owner in each.
func placementModel() porcupine.Model {
	return porcupine.Model{
		Partition: byStream,
		Init:      func() any { return ownership{} },
		Step: func(state, in, out any) (bool, any) {
			now, _ := state.(ownership)
			l, _ := in.(look)
			o, _ := out.(ownership)
			return now.step(l, o)
		},
		DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v gave %+v", in, out) },
	}
}

func (now ownership) step(l look, o ownership) (ok bool, next ownership) {
	switch {
	case o.epoch > now.epoch:
		return true, o
	case o.epoch < now.epoch:
		return l.held, now // a later epoch may have begun that it has not heard of
	case o.owner == "" || now.owner == o.owner:
		return true, now
	case now.owner == "":
		return true, o
	}
	return false, now
}

// byStream takes a history apart: streams have nothing to do with each other.
func byStream(ops []porcupine.Operation) (parts [][]porcupine.Operation) {
	place := map[string]int{}
	for _, op := range ops {
		l, _ := op.Input.(look)
		i, ok := place[l.stream]
		if !ok {
			i = len(parts)
			place[l.stream], parts = i, append(parts, nil)
		}
		parts[i] = append(parts[i], op)
	}
	return parts
}
