package gossip

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math"
	"time"

	"tmms/cluster/placement"
)

// Where a node is goes with its answers to probes:
//
//	0       1       5       9       13      17       21
//	+-------+-------+-------+-------+--------+-------+
//	| 1     | x     | y     | z     | height | error |   each float32, big endian
//	+-------+-------+-------+-------+--------+-------+
//
// Bytes after the last are a later version's and are ignored.
const (
	placeVersion = 1
	placeBytes   = 1 + 4*5
)

// errPlace refuses what is no place.
var errPlace = errors.New("gossip: not a place that this release understands")

func encodePlace(c placement.Coordinate) []byte {
	b := append(make([]byte, 0, placeBytes), placeVersion)
	for _, x := range append(c.Vec[:], c.Height, c.Error) {
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(float32(x)))
	}
	return b
}

// parsePlace is the reverse of encodePlace.
func parsePlace(b []byte) (c placement.Coordinate, err error) {
	if len(b) < placeBytes || b[0] != placeVersion {
		return c, errPlace
	}
	at := func(i int) float64 { return float64(math.Float32frombits(binary.BigEndian.Uint32(b[1+4*i:]))) }
	for i := range c.Vec {
		c.Vec[i] = at(i)
	}
	c.Height, c.Error = at(len(c.Vec)), at(len(c.Vec)+1)
	if !c.Valid() {
		return placement.Coordinate{}, errPlace
	}
	return c, nil
}

// Here is where this node is, as far as its probes have told.
func (g *Gossip) Here() placement.Coordinate {
	g.hereMu.Lock()
	defer g.hereMu.Unlock()
	return g.here
}

// measured moves this node's place after a probe that came back with the other one's.
// The round trip is the roster's, which a busy processor does not lengthen.
func (g *Gossip) measured(name string, rtt time.Duration, payload []byte) {
	at, err := parsePlace(payload)
	if err != nil {
		return // an earlier release says nothing
	}
	if settled, ok := g.roster.located(name, at); ok {
		rtt = settled
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(g.self.Name + "\x00" + name))
	g.hereMu.Lock()
	defer g.hereMu.Unlock()
	g.here = g.here.Moved(at, rtt, h.Sum64())
}
