package placement

import (
	"math"
	"time"
)

// dimensions of the space that nodes have a place in: what is between cities fits in
// three; the height takes what is not, such as the last mile.
const dimensions = 3

// Coordinate is a node's place in a space in which distances are round-trip times:
// Vivaldi (Dabek, Cox, Kaashoek, Morris, SIGCOMM 2004, sections 2.6 and 5.4). Each
// node moves its own a little with every round trip that it measures, so that the
// time between any two nodes is known nearly, though they never spoke. It is a
// value; the zero value is no place, see [Origo].
type Coordinate struct {
	Vec    [dimensions]float64 // seconds
	Height float64             // seconds, above 0: the way from the node to the space
	Error  float64             // of what it says, 0 sure to maxError
}

// How fast a coordinate moves.
const (
	maxError    = 1.5
	errorShare  = 0.25 // of a new measurement in the error, at most
	forceShare  = 0.25 // of a difference that is moved by, at most
	minHeight   = 10e-6
	maxSeconds  = 10.0 // no round trip is longer, and no place further away
	leastSecond = 1e-6
)

// Origo is where a node begins, when it knows nothing.
func Origo() Coordinate { return Coordinate{Height: minHeight, Error: maxError} }

// Valid reports whether c is a place: one that came from elsewhere may be anything.
func (c Coordinate) Valid() bool {
	for _, x := range c.Vec {
		if !(math.Abs(x) <= maxSeconds) { // NaN too
			return false
		}
	}
	return c.Height > 0 && c.Height <= maxSeconds && c.Error >= 0 && c.Error <= maxError
}

// RTT is the round-trip time between two places.
func (c Coordinate) RTT(to Coordinate) time.Duration {
	return time.Duration(c.distance(to) * float64(time.Second))
}

func (c Coordinate) distance(to Coordinate) float64 {
	return length(c.minus(to)) + c.Height + to.Height
}

// Moved gives where c is after a round trip of rtt to a node at to, which must be
// valid. toward is any number that is the pair's own: two nodes at one place leave
// it by different ways. An rtt of nothing or of more than 10 s moves nothing.
func (c Coordinate) Moved(to Coordinate, rtt time.Duration, toward uint64) Coordinate {
	seconds := rtt.Seconds()
	if seconds < leastSecond || seconds > maxSeconds {
		return c
	}
	says := c.distance(to)
	weight := c.Error / max(c.Error+to.Error, leastSecond)
	wrong := math.Abs(says-seconds) / seconds
	c.Error = min(wrong*errorShare*weight+c.Error*(1-errorShare*weight), maxError)
	c = c.pushed(to, forceShare*weight*(seconds-says), toward)
	if !c.Valid() {
		return Origo()
	}
	return c
}

// pushed moves c away from a place by some seconds, towards it if they are negative.
func (c Coordinate) pushed(from Coordinate, seconds float64, toward uint64) Coordinate {
	away := c.minus(from)
	apart := length(away)
	if apart < leastSecond {
		for i := range away {
			away[i] = float64(int64(mix(toward+uint64(i)))) / math.MaxInt64
		}
		apart = 0
	}
	scale := seconds / max(length(away), leastSecond)
	for i := range c.Vec {
		c.Vec[i] += away[i] * scale
	}
	if apart > 0 {
		c.Height = max(c.Height+(c.Height+from.Height)*seconds/apart, minHeight)
	}
	return c
}

func (c Coordinate) minus(o Coordinate) (d [dimensions]float64) {
	for i := range d {
		d[i] = c.Vec[i] - o.Vec[i]
	}
	return d
}

func length(v [dimensions]float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x * x
	}
	return math.Sqrt(sum)
}

// Place is a node with where it is, if that is known.
type Place struct {
	ID    string
	At    Coordinate
	Known bool
	RTT   time.Duration // measured, to it from where one is; 0: not measured
}

// Estimate is the round trip to the place: measured where it was, else as the
// coordinates say; false: nothing is known of it.
func (p Place) Estimate(from Coordinate) (rtt time.Duration, ok bool) {
	switch {
	case p.RTT > 0:
		return p.RTT, true
	case p.Known && from.Valid() && p.At.Valid():
		return from.RTT(p.At), true
	}
	return 0, false
}
