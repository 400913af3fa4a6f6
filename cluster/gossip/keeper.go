package gossip

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Action is what a node does in a step of a rotation.
type Action string

// The actions. All may be repeated without harm.
const (
	ActionBegin Action = "begin" // take part in this rotation and in no other
	ActionAdd   Action = "add"   // understand a further key
	ActionUse   Action = "use"   // encrypt with a key that was added
	ActionKeep  Action = "keep"  // forget all keys but the one in use
	ActionEnd   Action = "end"   // be free for another rotation
)

// Step is what the node that leads a rotation asks of another one.
type Step struct {
	Rotation string `json:"rotation"` // its id
	By       string `json:"by"`       // name of the node that leads it
	Do       Action `json:"do"`
	Key      Secret `json:"key,omitempty"` // of ActionAdd
	Sum      string `json:"sum,omitempty"` // which key; of ActionUse and ActionKeep
}

// Secret is a key that does not show where a value is printed or logged as text.
type Secret []byte

// String gives nothing away.
func (Secret) String() string { return "secret" }

// GoString gives nothing away.
func (Secret) GoString() string { return "secret" }

// StepAnswer is what a node answers to a [Step].
type StepAnswer struct {
	// Sums are the SHA-256 of its keys in hex, after the step; that in use is the first.
	Sums []string `json:"sums"`
	// Busy names who leads another rotation that the node takes part in: then
	// nothing was done.
	Busy string `json:"busy,omitempty"`
}

// rotationTerm is how long a node waits for the next step of a rotation before
// it takes part in another: far longer than a round takes.
const rotationTerm = 30 * time.Second

// Why a node refuses a step.
var (
	errNotBegun = errors.New("gossip: this node does not take part in that rotation")
	errAction   = errors.New("gossip: unknown step of a rotation")
)

// ring is the keys of a node: a *Gossip.
type ring interface {
	Keys() [][]byte
	AddKey(key []byte) error
	UseKey(key []byte) error
	RemoveKey(key []byte) error
}

// Keeper is a node's part in rotations of the key: it keeps the keys on disk and
// those of the gossip the same, disk first, so that the node understands the
// others whenever it starts again. Its methods may be called from any goroutine.
type Keeper struct {
	// Set at construction.
	ring ring
	save func(keys [][]byte) error

	mu       sync.Mutex
	rotation string    // guarded by mu; the id of the one that it takes part in, "" if none
	by       string    // guarded by mu; who leads it
	last     time.Time // guarded by mu; when the last step came
}

// NewKeeper gives the keeper of a node's keys. save puts keys, that in use
// first, where the next process of the node reads them; whole or not at all.
func NewKeeper(g *Gossip, save func(keys [][]byte) error) *Keeper {
	return &Keeper{ring: g, save: save}
}

// Do does a step.
func (k *Keeper) Do(s Step, now time.Time) (StepAnswer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	free := k.rotation == "" || now.Sub(k.last) > rotationTerm
	switch {
	case s.Do == ActionBegin && !free && k.rotation != s.Rotation:
		return StepAnswer{Busy: k.by}, nil
	case s.Do == ActionBegin:
		k.rotation, k.by = s.Rotation, s.By
	case free || k.rotation != s.Rotation:
		return StepAnswer{}, errNotBegun
	}
	k.last = now
	if err := k.do(s); err != nil {
		return StepAnswer{}, err
	}
	return StepAnswer{Sums: sums(k.ring.Keys())}, nil
}

func (k *Keeper) do(s Step) error {
	switch s.Do {
	case ActionBegin:
		return nil
	case ActionAdd:
		return k.add(s.Key)
	case ActionUse:
		return k.use(s.Sum)
	case ActionKeep:
		return k.keep(s.Sum)
	case ActionEnd:
		k.rotation = ""
		return nil
	}
	return fmt.Errorf("%w: %.20q", errAction, s.Do)
}

func (k *Keeper) add(key []byte) error {
	keys := k.ring.Keys()
	if err := checkNew(keys, key); err != nil {
		return err
	}
	if !contains(keys, key) {
		keys = append(keys, key)
	}
	if err := k.save(keys); err != nil {
		return err
	}
	return k.ring.AddKey(key)
}

func (k *Keeper) use(sum string) error {
	keys := k.ring.Keys()
	i := slices.IndexFunc(keys, func(key []byte) bool { return sumOf(key) == sum })
	if i < 0 {
		return ErrUnknownKey
	}
	key := keys[i]
	if err := k.save(append([][]byte{key}, slices.Delete(keys, i, i+1)...)); err != nil {
		return err
	}
	return k.ring.UseKey(key)
}

// keep refuses where the key is not in use: the others may be needed.
func (k *Keeper) keep(sum string) error {
	keys := k.ring.Keys()
	if sumOf(keys[0]) != sum {
		return ErrUnknownKey
	}
	if err := k.save(keys[:1]); err != nil {
		return err
	}
	for _, key := range keys[1:] {
		if err := k.ring.RemoveKey(key); err != nil {
			return err
		}
	}
	return nil
}

func contains(keys [][]byte, key []byte) bool {
	return slices.ContainsFunc(keys, func(o []byte) bool { return bytes.Equal(o, key) })
}

// sumOf names a key without giving it away: keys are random.
func sumOf(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])
}

func sums(keys [][]byte) []string {
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = sumOf(key)
	}
	return all
}
