package member

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"tmms/cluster/state"
	"tmms/media"
)

// How writes are tried again.
const (
	// proposeTimeout bounds a write whose context has no deadline.
	proposeTimeout = 15 * time.Second
	retryPause     = 50 * time.Millisecond
	maxRetryPause  = 500 * time.Millisecond
	// ownWrite bounds the wait for the local copy to show a write that is done.
	ownWrite = time.Second
)

// Attempt asks the leader once for a command, and gives its index and result.
// Its errors wrap ErrNotLeader if the command has certainly had no effect and
// may be tried again, ErrUncertain if it may have had one.
type Attempt func(ctx context.Context, c state.Command) (index uint64, result any, err error)

// Writes are the commands that a node may ask for. All methods may be called
// from any goroutine. They return when the command has come into force and, if
// the local copy keeps up, is seen there; a leader that is lost or not known is
// waited for until ctx ends, 15 s at most.
type Writes struct {
	// Set at construction.
	id      string
	view    *View
	lease   *Lease
	now     func() time.Time
	attempt Attempt
	once    bool
}

// WritesConfig is what a node's [Writes] need; all fields but Once are required.
type WritesConfig struct {
	ID      string
	View    *View
	Lease   *Lease
	Now     func() time.Time // stamps the commands
	Attempt Attempt
	Once    bool // never try again: there is no way to another node
}

// NewWrites gives the writes of a node.
func NewWrites(c WritesConfig) *Writes {
	return &Writes{id: c.ID, view: c.View, lease: c.Lease, now: c.Now, attempt: c.Attempt, once: c.Once}
}

// ID is the node's id: a UUID minted with the data folder, unless configured.
func (w *Writes) ID() string { return w.id }

// Starting is [Lease.Starting] of this node.
func (w *Writes) Starting() bool { return w.lease.Starting() }

// Claim makes this node the owner of a stream in a new epoch; an orphan keeps
// its T0. The error is a *state.OwnedError while another node owns it, and
// [ErrLeaseLapsed] at once while the leader has not heard of this node for a
// term. When ctx ends the claim may still come into force.
func (w *Writes) Claim(ctx context.Context, key media.StreamKey) (state.Placement, error) {
	err := key.Validate()
	if err == nil {
		err = w.lease.Check()
	}
	if err != nil {
		return state.Placement{}, fmt.Errorf("claim: %w", err)
	}
	result, err := w.Propose(ctx, state.Claim{Key: state.Key(key), Node: w.id, AtUnixMS: w.now().UnixMilli()})
	if err != nil {
		return state.Placement{}, fmt.Errorf("claim: %w", err)
	}
	w.lease.Renewed()
	return resultOf[state.Placement](result)
}

// Resume takes back a stream that this node lost, in the epoch that it lost it
// in, if nobody has claimed it since: for a session that went on streaming
// while the lease had lapsed. The error is a *state.OwnedError, a
// *state.StaleEpochError or state.ErrNotPlaced.
func (w *Writes) Resume(ctx context.Context, key media.StreamKey, epoch uint64) (state.Placement, error) {
	result, err := w.Propose(ctx, state.Resume{Key: state.Key(key), Node: w.id, Epoch: epoch})
	if err != nil {
		return state.Placement{}, fmt.Errorf("resume: %w", err)
	}
	return resultOf[state.Placement](result)
}

// Release gives up the ownership that Claim gave with epoch. Releasing what is
// not placed is no error; a later epoch is a *state.StaleEpochError.
func (w *Writes) Release(ctx context.Context, key media.StreamKey, epoch uint64) error {
	if _, err := w.Propose(ctx, state.Release{Key: state.Key(key), Epoch: epoch}); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	return nil
}

// SetStandby says that the standby of a stream that this node owns is another one,
// or whether it is in sync; see [state.SetStandby].
func (w *Writes) SetStandby(ctx context.Context, c state.SetStandby) (state.Placement, error) {
	result, err := w.Propose(ctx, c)
	if err != nil {
		return state.Placement{}, fmt.Errorf("set standby: %w", err)
	}
	return resultOf[state.Placement](result)
}

// Move gives a stream that this node owns in epoch to its standby, which must be
// in sync; see [state.Move].
func (w *Writes) Move(ctx context.Context, key media.StreamKey, epoch uint64, to string) (state.Placement, error) {
	c := state.Move{Key: state.Key(key), Epoch: epoch, To: to, AtUnixMS: w.now().UnixMilli()}
	result, err := w.Propose(ctx, c)
	if err != nil {
		return state.Placement{}, fmt.Errorf("move: %w", err)
	}
	return resultOf[state.Placement](result)
}

// SetDrain says whether a node is to be emptied; by names who asks.
func (w *Writes) SetDrain(ctx context.Context, node string, on bool, by string) error {
	c := state.SetDrain{Node: node, On: on, AtUnixMS: w.now().UnixMilli(), By: by}
	if _, err := w.Propose(ctx, c); err != nil {
		return fmt.Errorf("drain: %w", err)
	}
	return nil
}

// Disown takes this node's name off all streams: what an earlier process of the
// node held when it ended without a farewell. Those that it owns go to their standbys
// in sync at once, or become orphans; where it is the standby there is none any more,
// since it has nothing of the stream now. It is for the start, before the first claim,
// and for the end, and does nothing if there are none. A stream that comes to the node
// meanwhile, as one that it was the standby of does when its owner dies, is taken off too.
func (w *Writes) Disown(ctx context.Context) error {
	for placed := w.view.PlacedAt(w.id); len(placed) > 0; {
		if err := w.disown(ctx); err != nil {
			return err
		}
		placed = slices.DeleteFunc(w.view.PlacedAt(w.id), func(p state.PlacedStream) bool {
			return p.Owner != w.id // the leader has chosen it as the standby anew
		})
	}
	return nil
}

// disown is Disown of what this node's copy shows.
func (w *Writes) disown(ctx context.Context) error {
	epoch, now := w.view.Epoch(), w.now().UnixMilli()
	var c state.Command = state.FailOver{Node: w.id, MaxEpoch: epoch, AtUnixMS: now}
	if w.view.FeatureLevel() < state.Needs(c) { // there are no standbys yet
		c = state.ExpireNode{Node: w.id, MaxEpoch: epoch, AtUnixMS: now}
	}
	if _, err := w.Propose(ctx, c); err != nil {
		return fmt.Errorf("disown: %w", err)
	}
	return nil
}

// SetConfig validates a document, hashes its publish keys, and puts it in force
// in the whole cluster if base is the current revision or state.AnyRevision. It
// returns the revision in force; the same document again takes no new one. The
// error is a *state.FaultsError or a *state.ConflictError. doc is not modified;
// by names who asks, for the history.
func (w *Writes) SetConfig(ctx context.Context, base uint64, doc *state.Document, by string) (uint64, error) {
	doc, err := w.PlanConfig(ctx, doc)
	if err == nil {
		err = hashKeys(ctx, doc, nil, newSalt)
	}
	if err != nil {
		return 0, err
	}
	c := state.SetConfig{AtUnixMS: w.now().UnixMilli(), By: by, Document: *doc}
	if base != state.AnyRevision {
		c.BaseRevision = &base
	}
	result, err := w.Propose(ctx, c)
	if err != nil {
		return 0, fmt.Errorf("set config: %w", err)
	}
	r, err := resultOf[state.SetConfigResult](result)
	return r.Revision, err
}

// PlanConfig gives a document as [Writes.SetConfig] would propose it, but for new
// publish keys, which stay plain: a key that the app has already is in its stored
// form. The error is a *state.FaultsError, or ctx's. doc is not modified.
func (w *Writes) PlanConfig(ctx context.Context, doc *state.Document) (*state.Document, error) {
	if err := doc.Validate(); err != nil {
		return nil, err
	}
	doc = doc.Normalize()
	current := w.view.Config()
	if err := doc.KeepKeys(current); err != nil {
		return nil, err
	}
	return doc, hashKeys(ctx, doc, current, nil)
}

// UpsertNode tells the cluster about a node, usually this one; an empty ID
// means this one, and the time is set here. A process that says so of its own node has
// started: what it has not disowned before it has, see [Lease.Starting].
func (w *Writes) UpsertNode(ctx context.Context, node state.Node) error {
	if node.ID == "" {
		node.ID = w.id
	}
	node.AtUnixMS = w.now().UnixMilli()
	if _, err := w.Propose(ctx, state.UpsertNode{Node: node}); err != nil {
		return fmt.Errorf("upsert node: %w", err)
	}
	if node.ID == w.id {
		w.lease.Started()
	}
	return nil
}

// Leave makes the cluster forget this node, which gives up before what it still owns.
func (w *Writes) Leave(ctx context.Context) error {
	if err := w.Disown(ctx); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	if _, err := w.Propose(ctx, state.RemoveNode{Node: w.id, AtUnixMS: w.now().UnixMilli()}); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

// Propose asks for a command until a leader has taken it or ctx ends. A result
// that is an error is returned as one.
func (w *Writes) Propose(ctx context.Context, c state.Command) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, proposeTimeout)
	defer cancel()
	pause := retryPause
	for {
		index, result, err := w.attempt(ctx, c)
		if err == nil {
			return w.done(ctx, index, result)
		}
		if w.once || !mayRetry(c, err) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-time.After(jitter(pause)):
		}
		pause = min(2*pause, maxRetryPause)
	}
}

// done waits until the command is seen here, but not for long: it is in force.
func (w *Writes) done(ctx context.Context, index uint64, result any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, ownWrite)
	defer cancel()
	_ = w.view.WaitIndex(ctx, index)
	if refusal, ok := result.(error); ok {
		return nil, refusal
	}
	return result, nil
}

// mayRetry tells whether asking again can do no harm.
func mayRetry(c state.Command, err error) bool {
	if errors.Is(err, ErrUncertain) {
		s, config := c.(state.SetConfig)
		return !config || s.BaseRevision == nil // it would conflict with itself
	}
	return errors.Is(err, ErrNotLeader)
}

func resultOf[T any](result any) (T, error) {
	v, ok := result.(T)
	if !ok {
		return v, fmt.Errorf("result %T, want %T", result, v)
	}
	return v, nil
}

// hashChunk is how many apps are hashed before the context is looked at.
const hashChunk = 16

// hashKeys is [state.Document.HashKeys] on half of the processors: what else the
// node does goes on beside it.
func hashKeys(ctx context.Context, doc *state.Document, old *state.Config, salt func() []byte) error {
	chunks := make(chan *state.Document)
	var workers sync.WaitGroup
	for range max(runtime.GOMAXPROCS(0)/2, 1) {
		workers.Go(func() {
			for c := range chunks {
				c.HashKeys(old, salt)
			}
		})
	}
	err := eachChunk(ctx, doc, chunks)
	close(chunks)
	workers.Wait()
	return err
}

// eachChunk hands out the apps of a document, some at a time.
func eachChunk(ctx context.Context, doc *state.Document, chunks chan<- *state.Document) error {
	for i := range doc.Domains {
		d := &doc.Domains[i]
		for apps := range slices.Chunk(d.Apps, hashChunk) {
			select {
			case chunks <- &state.Document{Domains: []state.DomainDoc{{Name: d.Name, Apps: apps}}}:
			case <-ctx.Done():
				return fmt.Errorf("publish keys are not hashed: %w", context.Cause(ctx))
			}
		}
	}
	return nil
}

func newSalt() []byte {
	b := make([]byte, state.KeySaltSize)
	_, _ = rand.Read(b) // never fails (crypto/rand since Go 1.24)
	return b
}
