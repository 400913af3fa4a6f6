package path

import "sync/atomic"

// Budget bounds the memory of all paths together. It may be used from any goroutine.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget makes one of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Used is what is taken, in bytes.
func (b *Budget) Used() int64 { return b.used.Load() }

func (b *Budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.limit {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

func (b *Budget) give(n int) { b.used.Add(-int64(n)) }
