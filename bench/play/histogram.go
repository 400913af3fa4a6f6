package play

import "time"

// Histogram counts delays in buckets of 100 us up to 20 s; longer ones are in the last.
type Histogram struct {
	buckets []uint32
	count   int64
	longest time.Duration
}

const (
	bucketWidth = 100 * time.Microsecond
	bucketCount = 200_000
)

// NewHistogram returns an empty one.
func NewHistogram() *Histogram { return &Histogram{buckets: make([]uint32, bucketCount)} }

// Add counts one delay; negative ones (clocks that differ) count as 0.
func (h *Histogram) Add(d time.Duration) {
	h.buckets[min(max(d, 0)/bucketWidth, bucketCount-1)]++
	h.count++
	h.longest = max(h.longest, d)
}

// Quantile is the delay that the share q (0..1) of all stay within; 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := int64(q * float64(h.count))
	for i, n := range h.buckets {
		if rank -= int64(n); rank < 0 {
			return time.Duration(i+1) * bucketWidth
		}
	}
	return h.longest
}

// Max is the longest delay.
func (h *Histogram) Max() time.Duration { return h.longest }

// Count is how many delays were added.
func (h *Histogram) Count() int64 { return h.count }
