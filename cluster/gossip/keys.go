package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"

	"tmms/media"
)

// Why a change of the keys is refused.
var (
	// ErrKeySize refuses a key that is not 16, 24 or 32 bytes long.
	ErrKeySize = errors.New("gossip: want a key of 16, 24 or 32 bytes")
	// ErrTooManyKeys refuses a key beside media.MaxGossipKeys others.
	ErrTooManyKeys = errors.New("gossip: too many keys, remove one first")
	// ErrUnknownKey refuses to use a key that was not added.
	ErrUnknownKey = errors.New("gossip: key was not added")
	// ErrKeyInUse refuses to remove the key that encrypts.
	ErrKeyInUse = errors.New("gossip: key is in use")
)

// keys is the ring of memberlist with one writer at a time. It has two keys at
// most: the second is then the last, and memberlist removes the last without
// moving the others under those that read them.
type keys struct {
	mu   sync.Mutex
	ring *memberlist.Keyring // written under mu
}

func newKeys(all [][]byte) (*keys, error) {
	ring, err := memberlist.NewKeyring(cloneAll(all[1:]), bytes.Clone(all[0]))
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	return &keys{ring: ring}, nil
}

func cloneAll(all [][]byte) [][]byte {
	out := make([][]byte, len(all))
	for i, k := range all {
		out[i] = bytes.Clone(k)
	}
	return out
}

func (k *keys) has(key []byte) bool {
	return slices.ContainsFunc(k.ring.GetKeys(), func(o []byte) bool { return bytes.Equal(o, key) })
}

// AddKey makes this node understand a further key. A key is rotated by three
// rounds over all nodes: AddKey on each, then UseKey on each, then RemoveKey of
// the old one on each; at no time do two nodes not understand each other.
func (g *Gossip) AddKey(key []byte) error {
	k := g.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := checkNew(k.ring.GetKeys(), key); err != nil {
		return err
	}
	return k.ring.AddKey(bytes.Clone(key)) // one that is there already is no error
}

// checkNew tells whether a key may come beside those that are there.
func checkNew(keys [][]byte, key []byte) error {
	switch {
	case memberlist.ValidateKey(key) != nil:
		return fmt.Errorf("%w: it has %d", ErrKeySize, len(key))
	case len(keys) >= media.MaxGossipKeys && !contains(keys, key):
		return fmt.Errorf("%w: the limit is %d", ErrTooManyKeys, media.MaxGossipKeys)
	}
	return nil
}

// UseKey makes this node encrypt with a key that it has.
func (g *Gossip) UseKey(key []byte) error {
	k := g.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.has(key) {
		return ErrUnknownKey
	}
	return k.ring.UseKey(key)
}

// RemoveKey makes this node forget a key; one that it doesn't have is no error.
func (g *Gossip) RemoveKey(key []byte) error {
	k := g.keys
	k.mu.Lock()
	defer k.mu.Unlock()
	if bytes.Equal(k.ring.GetPrimaryKey(), key) {
		return ErrKeyInUse
	}
	return k.ring.RemoveKey(key)
}

// Keys gives copies of the keys; the first encrypts.
func (g *Gossip) Keys() [][]byte { return cloneAll(g.keys.ring.GetKeys()) }
