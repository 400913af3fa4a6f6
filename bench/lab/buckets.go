package lab

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Buckets are a histogram of durations as it is exposed: how many were at most
// so many seconds, over all its other labels.
type Buckets map[float64]float64

// BucketsOf finds a histogram among a server's metrics.
func BucketsOf(metrics map[string]float64, name string) Buckets {
	b := Buckets{}
	for key, n := range metrics {
		labels, ok := strings.CutPrefix(key, name+"_bucket{")
		if !ok {
			continue
		}
		_, rest, ok := strings.Cut(labels, `le="`)
		bound, _, _ := strings.Cut(rest, `"`)
		if le, err := strconv.ParseFloat(bound, 64); ok && err == nil {
			b[le] += n
		}
	}
	return b
}

// Since is what was added to an earlier state.
func (b Buckets) Since(before Buckets) Buckets {
	d := maps.Clone(b)
	for le := range d {
		d[le] -= before[le]
	}
	return d
}

// Count is how many there are.
func (b Buckets) Count() float64 { return b[math.Inf(1)] }

// Quantile is the duration that the share q (0..1) stays within, as if those of a
// bucket were spread evenly; the last bound if it is above that, 0 if there are none.
func (b Buckets) Quantile(q float64) time.Duration {
	rank := q * b.Count()
	var low, below float64
	for _, le := range slices.Sorted(maps.Keys(b)) {
		n := b[le]
		if n >= rank && n > 0 {
			if math.IsInf(le, 1) {
				break
			}
			share := 1.0
			if n > below {
				share = (rank - below) / (n - below)
			}
			low += (le - low) * share
			break
		}
		low, below = le, n
	}
	return time.Duration(low * float64(time.Second))
}

// largest is the highest value of a metric over all its labels.
func largest(metrics map[string]float64, name string) float64 {
	most := 0.0
	for key, v := range metrics {
		if key == name || strings.HasPrefix(key, name+"{") {
			most = max(most, v)
		}
	}
	return most
}

// Sum is a metric's value over all its labels.
func Sum(metrics map[string]float64, name string) (sum float64) {
	for key, v := range metrics {
		if key == name || strings.HasPrefix(key, name+"{") {
			sum += v
		}
	}
	return sum
}
