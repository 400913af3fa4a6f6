package relay

import (
	"sync"
	"time"
)

// Retries and hedges that all pulls of a node may make: a node whose owners are
// lost does not keep the fabric busy with them. The streams of one lost shield may
// all be asked for elsewhere at once.
const (
	retriesPerSecond = 50
	retryBurst       = 1024
)

// Moves to better sources that all pulls of a node may make.
const (
	movesPerSecond = 10
	moveBurst      = 20
)

// retryBudget bounds what a node does again. It is safe for concurrent use.
type retryBudget struct {
	// Set at construction.
	rate  float64 // a second
	burst float64

	mu   sync.Mutex
	left float64   // guarded by mu
	at   time.Time // guarded by mu: when left was true
}

func newRetryBudget(rate, burst float64) *retryBudget {
	return &retryBudget{rate: rate, burst: burst, left: burst}
}

// take takes one retry; false: there is none left now.
func (b *retryBudget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.at.IsZero() {
		b.left = min(b.left+now.Sub(b.at).Seconds()*b.rate, b.burst)
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
