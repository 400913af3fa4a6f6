package gossip

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tmms/media"
)

var (
	// ErrRotating refuses a rotation of the key while another one runs.
	ErrRotating = errors.New("gossip: another rotation of the key is running")
	// ErrRotationStopped says that a rotation came to no good end; its text says
	// which keys the nodes are left with. They understand each other.
	ErrRotationStopped = errors.New("gossip: the rotation of the key was stopped")
)

// rotatedKeySize is that of a new key, in bytes: AES-256.
const rotatedKeySize = 32

const (
	// inFlight is how long a packet under the old key may be on its way when the
	// last node has begun to use the new one.
	inFlight = 500 * time.Millisecond
	// undoTimeout bounds what is done after a failure, or after the end of the
	// context.
	undoTimeout = 5 * time.Second
)

// Plan is a rotation to be done.
type Plan struct {
	ID    string   // of the rotation; unique
	By    string   // name of the node that leads it; one of Nodes
	Nodes []string // names of all nodes that gossip
	// Ask makes a node, the leading one too, do a step, with the [Keeper] there.
	// It is called from many goroutines.
	Ask func(ctx context.Context, node string, s Step) (StepAnswer, error)
	// Unchanged reports what has changed in the membership since the plan was
	// made; it is asked before the new key is used.
	Unchanged func() error
}

// Report is what a rotation has done.
type Report struct {
	Nodes  []string `json:"nodes"` // that have the new key
	Rounds []Round  `json:"rounds"`
	// Skipped are nodes that were not there; they have to be given the new key.
	Skipped []string `json:"skipped,omitempty"`
}

// Round is a step that every node has done.
type Round struct {
	Action string `json:"action"` // "settle", "add", "use" or "keep"
	Nodes  int    `json:"nodes"`
}

// Rotate replaces the key of the gossip by a new one, in three rounds: all nodes
// add the new key, then all use it, then all forget the old one. At no time do
// two nodes not understand each other. If a node fails in the first round,
// nothing has changed in the end; if one fails later, nodes may be left with both
// keys, which the next rotation settles before it begins. The new key is seen by
// nobody but the nodes.
func Rotate(ctx context.Context, p Plan) (Report, error) {
	r := &rotation{Plan: p, report: Report{Nodes: slices.Sorted(slices.Values(p.Nodes))}}
	held, err := r.begin(ctx)
	if err == nil {
		err = r.rounds(ctx, held)
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	_, _ = r.ask(after, slices.Collect(maps.Keys(held)), Step{Do: ActionEnd}) // else they are free in a while
	return r.report, err
}

// rotation is a Rotate that runs.
type rotation struct {
	Plan

	report Report
}

// begin takes all nodes for this rotation, and gives the sums of the keys of
// those that it has.
func (r *rotation) begin(ctx context.Context) (held map[string]StepAnswer, err error) {
	held, failed := r.ask(ctx, r.report.Nodes, Step{Do: ActionBegin})
	for node, a := range held {
		if a.Busy != "" {
			delete(held, node)
			err = fmt.Errorf("%w: %s leads it", ErrRotating, a.Busy)
		}
	}
	if err == nil && len(failed) > 0 {
		err = stopped("before it began, nothing has changed", failed)
	}
	return held, err
}

func (r *rotation) rounds(ctx context.Context, held map[string]StepAnswer) error {
	old := held[r.By].Sums[0]
	if err := r.settle(ctx, held, old); err != nil {
		return err
	}
	key := make([]byte, rotatedKeySize)
	_, _ = rand.Read(key) // never fails (crypto/rand since Go 1.24)
	if err := r.add(ctx, key, old); err != nil {
		return err
	}
	sum := sumOf(key)
	if err := r.all(ctx, Step{Do: ActionUse, Sum: sum}); err != nil {
		return stopped("in round two, every node understands both keys; run it again when all are there", err)
	}
	r.done("use")
	select {
	case <-ctx.Done(): // the round below says so
	case <-time.After(inFlight):
	}
	if err := r.all(ctx, Step{Do: ActionKeep, Sum: sum}); err != nil {
		return stopped("in round three, the new key is in use and these still understand the old one", err)
	}
	r.done("keep")
	return nil
}

// settle brings the nodes back to one key, should an earlier rotation have left
// some with two: the one that this node uses.
func (r *rotation) settle(ctx context.Context, held map[string]StepAnswer, sum string) error {
	var strangers faultsError
	settled := true
	for _, node := range r.report.Nodes {
		has := held[node].Sums
		settled = settled && len(has) == 1 && has[0] == sum
		if !slices.Contains(has, sum) {
			strangers = append(strangers, fault{node, errors.New("does not have the key that " + r.By + " uses")})
		}
	}
	if len(strangers) > 0 {
		return stopped("before it began, nothing has changed", strangers)
	}
	if settled {
		return nil
	}
	for _, do := range []Action{ActionUse, ActionKeep} {
		if err := r.all(ctx, Step{Do: do, Sum: sum}); err != nil {
			return stopped("while it settled an earlier one, every node understands the key in use", err)
		}
	}
	r.done("settle")
	return nil
}

// add is the first round; what it has done is undone if it fails.
func (r *rotation) add(ctx context.Context, key []byte, old string) error {
	_, failed := r.ask(ctx, r.report.Nodes, Step{Do: ActionAdd, Key: key})
	if len(failed) == 0 {
		if err := r.Unchanged(); err != nil {
			failed = faultsError{{r.By, err}}
		}
	}
	if len(failed) == 0 {
		r.done("add")
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	_, left := r.ask(ctx, r.report.Nodes, Step{Do: ActionKeep, Sum: old})
	left = slices.DeleteFunc(left, func(f fault) bool { return failed.has(f.node) })
	if len(left) > 0 {
		return stopped("in round one, the old key is in use and the new one still on "+left.Error(), failed)
	}
	return stopped("in round one, nothing has changed", failed)
}

func (r *rotation) done(action string) {
	r.report.Rounds = append(r.report.Rounds, Round{Action: action, Nodes: len(r.report.Nodes)})
}

// all has every node do a step; the error says who did not.
func (r *rotation) all(ctx context.Context, s Step) error {
	if _, failed := r.ask(ctx, r.report.Nodes, s); len(failed) > 0 {
		return failed
	}
	return nil
}

// ask asks nodes for a step, so many at once as is allowed.
func (r *rotation) ask(
	ctx context.Context, nodes []string, s Step,
) (answers map[string]StepAnswer, failed faultsError) {
	s.Rotation, s.By = r.ID, r.By
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers = make(map[string]StepAnswer, len(nodes))
	places := make(chan struct{}, media.MaxPeerQueries)
	for _, node := range nodes {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			a, err := r.Ask(ctx, node, s)
			if err == nil && a.Busy == "" && len(a.Sums) == 0 {
				err = errors.New("answers without its keys")
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, fault{node, err})
				return
			}
			answers[node] = a
		})
	}
	wg.Wait()
	slices.SortFunc(failed, func(a, b fault) int { return cmp.Compare(a.node, b.node) })
	return answers, failed
}

// fault is what is wrong with a node.
type fault struct {
	node string
	err  error
}

// faultsError are the faults of some nodes, by name.
type faultsError []fault

// Error names the nodes in one line.
func (l faultsError) Error() string {
	all := make([]string, len(l))
	for i, f := range l {
		all[i] = f.node + ": " + f.err.Error()
	}
	return strings.Join(all, "; ")
}

func (l faultsError) has(node string) bool {
	return slices.ContainsFunc(l, func(f fault) bool { return f.node == node })
}

func stopped(when string, why error) error {
	return fmt.Errorf("%w %s: %w", ErrRotationStopped, when, why)
}
