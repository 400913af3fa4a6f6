package rtmp

import "sync/atomic"

// Budget bounds the bytes that the unfinished messages of all connections
// take together. It may be shared by any number of goroutines. A nil *Budget
// sets no bound.
type Budget struct {
	max  int64
	used atomic.Int64
}

// NewBudget gives a budget of maxBytes, usually [media.MaxPartialBytesProcess].
func NewBudget(maxBytes int64) *Budget { return &Budget{max: maxBytes} }

// Used is the number of bytes held now.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

func (b *Budget) acquire(n int) bool {
	if b == nil {
		return true
	}
	if b.used.Add(int64(n)) > b.max {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

func (b *Budget) release(n int) {
	if b != nil && n != 0 {
		b.used.Add(-int64(n))
	}
}
