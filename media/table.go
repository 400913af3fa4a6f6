package media

import (
	"iter"
	"maps"
)

// Table is a map by stream that gives its memory back, which a map of Go never
// does: one that has lost most of its entries is made anew, so that names which
// come and go, however many at once, leave nothing behind. The zero value is
// empty. It has one owner, as a map has.
type Table[V any] struct {
	entries map[StreamKey]V
	most    int // entries since the map was made
}

// tableKept is the size in entries of a map that is kept whatever it holds, some
// tens of KB, and tableShrink the part of its entries at which another is made anew.
const (
	tableKept   = 256
	tableShrink = 8
)

// Get gives the entry of key, the zero value if there is none.
func (t *Table[V]) Get(key StreamKey) V { return t.entries[key] }

// Set makes v the entry of key.
func (t *Table[V]) Set(key StreamKey, v V) {
	if t.entries == nil {
		t.entries = map[StreamKey]V{}
	}
	t.entries[key] = v
	t.most = max(t.most, len(t.entries))
}

// Delete takes the entry of key out, if there is one.
func (t *Table[V]) Delete(key StreamKey) {
	delete(t.entries, key)
	n := len(t.entries)
	if t.most <= tableKept || n > t.most/tableShrink {
		return
	}
	rest := make(map[StreamKey]V, n)
	maps.Copy(rest, t.entries)
	t.entries, t.most = rest, n
}

// Clear takes all entries out.
func (t *Table[V]) Clear() {
	if t.most > tableKept {
		*t = Table[V]{}
		return
	}
	clear(t.entries)
}

// Len is the number of entries.
func (t *Table[V]) Len() int { return len(t.entries) }

// All goes through the entries, in no order. Meanwhile the one at hand may be
// deleted, and no other, and none set.
func (t *Table[V]) All() iter.Seq2[StreamKey, V] { return maps.All(t.entries) }
