package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"tmms/bench/history"
)

// overseer looks at the cluster all the time, whatever is broken: it changes and
// reads the config, reads placements, and sees which node owns which stream in
// which epoch. What it was told goes into a history.
type overseer struct {
	cluster  *Cluster
	recorder *history.Recorder
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	owners  map[epochOf]string // by stream and epoch
	epochs  map[string]uint64  // the highest of each stream
	begun   map[string]int     // how often a stream has begun a new one
	last    acknowledged
	value   int
	faults  []string
	streams map[string]bool // whose placements are read
}

// epochOf is one ownership of a stream.
type epochOf struct {
	key   string
	epoch uint64
}

// acknowledged is the newest config that a node has acknowledged.
type acknowledged struct {
	revision uint64
	value    string
}

const (
	overseeEvery = 100 * time.Millisecond
	operateEvery = 400 * time.Millisecond
	operators    = 2
	maxFaults    = 50
)

// oversee begins, with a first config.
func (c *Cluster) oversee(ctx context.Context) (*overseer, error) {
	const first = "v0"
	leader, ok := c.Leader(ctx)
	if !ok {
		return nil, errors.New("faults: no leader to begin with")
	}
	o, revision, err := leader.apply(ctx, nil, first)
	if o != history.Applied {
		return nil, fmt.Errorf("faults: the first config: %w", err)
	}
	s := &overseer{
		cluster: c, recorder: history.NewRecorder(revision, first), owners: map[epochOf]string{}, epochs: map[string]uint64{},
		begun: map[string]int{}, last: acknowledged{revision, first}, streams: map[string]bool{},
	}
	ctx, s.cancel = context.WithCancel(ctx)
	for _, n := range c.Origins() {
		s.running.Go(func() { s.every(ctx, overseeEvery, func() { s.look(ctx, n) }) })
	}
	for i := range operators {
		rnd := rand.New(rand.NewPCG(1, uint64(i)))
		s.running.Go(func() { s.every(ctx, operateEvery, func() { s.operate(ctx, i, rnd) }) })
	}
	return s, nil
}

// end stops it.
func (s *overseer) end() {
	s.cancel()
	s.running.Wait()
}

func (s *overseer) every(ctx context.Context, d time.Duration, do func()) {
	for ctx.Err() == nil {
		do()
		pause(ctx, d)
	}
}

// look sees what an origin owns.
func (s *overseer) look(ctx context.Context, n *Node) {
	if !n.there() {
		return
	}
	begun := time.Now()
	list, err := n.holds(ctx)
	if err != nil {
		return
	}
	for _, h := range list {
		if h.Pulled || h.Publisher == nil || h.Epoch == 0 || h.State != "live" {
			continue
		}
		s.recorder.Held(operators+1, begun, h.Key, h.Epoch, n.Name)
		s.owns(h.Key, h.Epoch, n.Name)
	}
}

// owns notes an owner: there is never a second one in an epoch.
func (s *overseer) owns(key string, epoch uint64, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.owners[epochOf{key, epoch}]; before != "" && before != name && len(s.faults) < maxFaults {
		s.faults = append(s.faults, fmt.Sprintf("%s has publishers at %s and %s in epoch %d", key, before, name, epoch))
	}
	s.owners[epochOf{key, epoch}] = name
	if epoch > s.epochs[key] {
		s.epochs[key] = epoch
		s.begun[key]++
	}
}

// operate does one thing that an operator does, at some origin.
func (s *overseer) operate(ctx context.Context, client int, rnd *rand.Rand) {
	nodes := s.cluster.Origins()
	n := nodes[rnd.IntN(len(nodes))]
	if !n.there() {
		return
	}
	for _, stream := range s.watched() {
		begun := time.Now()
		p, stale, err := n.Placed(ctx, stream, false)
		if err == nil && !stale && p != nil {
			s.recorder.Placed(client, begun, key(stream), p.Epoch, p.OwnerName)
		}
	}
	begun := time.Now()
	revision, value, stale, err := n.config(ctx)
	if err != nil || stale {
		return
	}
	s.recorder.Read(client, begun, revision, value)
	if rnd.IntN(3) == 0 {
		s.change(ctx, client, n, revision)
	}
}

// change applies a value that was never applied before.
func (s *overseer) change(ctx context.Context, client int, n *Node, base uint64) {
	s.mu.Lock()
	s.value++
	value := fmt.Sprintf("v%d", s.value)
	s.mu.Unlock()
	begun := time.Now()
	o, revision, err := n.apply(ctx, &base, value)
	if ctx.Err() != nil && err != nil {
		o = history.Unknown
	}
	s.recorder.Apply(client, begun, base, value, o, revision)
	if o == history.Applied {
		s.acknowledge(revision, value)
	}
}

// write applies a value at a node, whatever is in force, for a case: it is taken
// only if the node knows the newest revision.
func (s *overseer) write(ctx context.Context, n *Node) (history.Outcome, error) {
	revision, _, _, err := n.config(ctx)
	if err != nil {
		return history.Unknown, err
	}
	s.mu.Lock()
	s.value++
	value := fmt.Sprintf("v%d", s.value)
	s.mu.Unlock()
	begun := time.Now()
	o, made, err := n.apply(ctx, &revision, value)
	s.recorder.Apply(operators, begun, revision, value, o, made)
	if o == history.Applied {
		s.acknowledge(made, value)
	}
	return o, err
}

func (s *overseer) acknowledge(revision uint64, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if revision > s.last.revision {
		s.last = acknowledged{revision, value}
	}
}

// kept tells whether a node has what was acknowledged, or something newer.
func (s *overseer) kept(ctx context.Context, n *Node) error {
	s.mu.Lock()
	want := s.last
	s.mu.Unlock()
	revision, value, stale, err := n.config(ctx)
	switch {
	case err != nil:
		return err
	case stale:
		return fmt.Errorf("faults: %s gives no current config", n.Name)
	case revision < want.revision, revision == want.revision && value != want.value:
		return fmt.Errorf("faults: %s has revision %d %q, acknowledged was %d %q", n.Name, revision, value,
			want.revision, want.value)
	}
	return nil
}

// watch says whose placements are read.
func (s *overseer) watch(stream string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.streams, stream); on {
		s.streams[stream] = true
	}
}

func (s *overseer) watched() (streams []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for stream := range s.streams {
		streams = append(streams, stream)
	}
	return streams
}

// epochsBegun is how many epochs a stream has begun, as far as they were seen.
func (s *overseer) epochsBegun(stream string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun[key(stream)]
}

// took gives the faults that were found since it was asked last.
func (s *overseer) took() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.faults, "; ")
	s.faults = nil
	return all
}
