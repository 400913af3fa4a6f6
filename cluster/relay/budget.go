package relay

import (
	"sync"
	"time"
)

// Retries that all pulls of a node may make: a node whose owners are lost does
// not keep the fabric busy with them.
const (
	retriesPerSecond = 50
	retryBurst       = 200
)

// retryBudget bounds the retries of a node. It is safe for concurrent use.
type retryBudget struct {
	mu   sync.Mutex
	left float64   // guarded by mu
	at   time.Time // guarded by mu: when left was true
}

func newRetryBudget() *retryBudget { return &retryBudget{left: retryBurst} }

// take takes one retry; false: there is none left now.
func (b *retryBudget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.at.IsZero() {
		b.left = min(b.left+now.Sub(b.at).Seconds()*retriesPerSecond, retryBurst)
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
