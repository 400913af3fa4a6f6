// Package history records what operators and watchers of a cluster were told, and
// when, and finds out whether one cluster that does one thing at a time could have
// told it: whether the history is linearizable. The search is porcupine's.
package history

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Outcome of an apply.
type Outcome int

// The outcomes.
const (
	Applied  Outcome = iota // it is in force, as the revision that was told
	Conflict                // another revision than the base was in force
	Unknown                 // no answer, or one that leaves it open
)

// maxOperations bounds a recorder: a day of random faults.
const maxOperations = 500_000

// Recorder takes operations down. Its methods are for any goroutine.
type Recorder struct {
	began time.Time
	first config

	mu         sync.Mutex
	config     []porcupine.Operation // guarded by mu
	placements []porcupine.Operation // guarded by mu
	open       int                   // unknown outcomes; guarded by mu
}

// NewRecorder begins a history with the config that is in force.
func NewRecorder(revision uint64, value string) *Recorder {
	return &Recorder{began: time.Now(), first: config{revision, value}}
}

// Apply notes that a value was to come into force over a base revision, and what
// became of it; revision is that of [Applied].
func (r *Recorder) Apply(client int, begun time.Time, base uint64, value string, o Outcome, revision uint64) {
	op := r.operation(client, begun, change{base: base, value: value}, told{o, config{revision, value}})
	r.mu.Lock()
	defer r.mu.Unlock()
	if o == Unknown {
		r.open++
	}
	r.config = bounded(r.config, op)
}

// Read notes which config was shown as in force.
func (r *Recorder) Read(client int, begun time.Time, revision uint64, value string) {
	op := r.operation(client, begun, change{read: true}, told{Applied, config{revision, value}})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.config = bounded(r.config, op)
}

// Placed notes which owner a stream was shown to have, "" of one that has lost it.
func (r *Recorder) Placed(client int, begun time.Time, stream string, epoch uint64, owner string) {
	r.placed(client, begun, look{stream: stream}, ownership{epoch, owner})
}

// Held notes that a node was seen to own a stream in an epoch, as far as it knows:
// a later one may have begun, but that one was given out.
func (r *Recorder) Held(client int, begun time.Time, stream string, epoch uint64, owner string) {
	r.placed(client, begun, look{stream: stream, held: true}, ownership{epoch, owner})
}

func (r *Recorder) placed(client int, begun time.Time, in look, out ownership) {
	op := r.operation(client, begun, in, out)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.placements = bounded(r.placements, op)
}

func (r *Recorder) operation(client int, begun time.Time, in, out any) porcupine.Operation {
	return porcupine.Operation{
		ClientId: client, Input: in, Output: out, Call: int64(begun.Sub(r.began)), Return: int64(time.Since(r.began)),
	}
}

func bounded(list []porcupine.Operation, op porcupine.Operation) []porcupine.Operation {
	if len(list) == maxOperations {
		return list
	}
	return append(list, op)
}

// Verdict is what was found.
type Verdict struct {
	Config     int    `json:"config_operations"`
	Open       int    `json:"unknown_outcomes"`
	Placements int    `json:"placement_operations"`
	Fault      string `json:"fault,omitempty"` // "": linearizable
}

// searchTime bounds the search.
const searchTime = 2 * time.Minute

// Check looks at all that was taken down until now.
func (r *Recorder) Check() Verdict {
	r.mu.Lock()
	configs, placements := slices.Clone(r.config), slices.Clone(r.placements)
	v := Verdict{Config: len(configs), Open: r.open, Placements: len(placements)}
	r.mu.Unlock()
	end := int64(time.Since(r.began))
	for i, op := range configs {
		if t, ok := op.Output.(told); ok && t.outcome == Unknown {
			configs[i].Return = end // it may still come into force
		}
	}
	for _, part := range []struct {
		what  string
		model porcupine.Model
		ops   []porcupine.Operation
	}{{"config", configModel(r.first), configs}, {"placements", placementModel(), placements}} {
		result, info := porcupine.CheckOperationsVerbose(part.model, part.ops, searchTime)
		if result != porcupine.Ok {
			v.Fault = fmt.Sprintf("%s: %s: %s", part.what, result, firstBad(part.model, part.ops, info))
			return v
		}
	}
	return v
}

// firstBad names the operation that no order explains: the first one that is in
// none of the longest explanations.
func firstBad(model porcupine.Model, ops []porcupine.Operation, info porcupine.LinearizationInfo) string {
	parts := [][]porcupine.Operation{ops}
	if model.Partition != nil {
		parts = model.Partition(ops)
	}
	for i, explained := range info.PartialLinearizationsOperations() {
		longest := 0
		for _, order := range explained {
			longest = max(longest, len(order))
		}
		if i >= len(parts) || longest == len(parts[i]) {
			continue
		}
		byReturn := slices.Clone(parts[i])
		slices.SortStableFunc(byReturn, func(a, b porcupine.Operation) int { return int(a.Return - b.Return) })
		op := byReturn[min(longest, len(byReturn)-1)]
		return fmt.Sprintf("%d of %d explained, not client %d from %v to %v: %v", longest, len(parts[i]), op.ClientId,
			time.Duration(op.Call).Round(time.Millisecond), time.Duration(op.Return).Round(time.Millisecond),
			model.DescribeOperation(op.Input, op.Output))
	}
	return "no operation found"
}
