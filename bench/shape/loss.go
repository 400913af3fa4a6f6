package shape

import "math/rand/v2"

// losses tells which packets are lost: bursts of a fixed length that begin at
// random, so often that the wanted share is lost on average.
type losses struct {
	rng  *rand.Rand
	left int // of the burst under way
}

// next tells whether the next packet is lost. Between two bursts each packet
// begins one with the probability q = p / (b(1-p) + p): of the qb + (1-q) packets
// of such a step, qb are lost, which is the share p.
func (l *losses) next(share float64, burst int) bool {
	if l.left > 0 {
		l.left--
		return true
	}
	b := float64(burst)
	if l.rng.Float64() >= share/(b*(1-share)+share) {
		return false
	}
	l.left = burst - 1
	return true
}
