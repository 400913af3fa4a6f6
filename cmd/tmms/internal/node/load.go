package node

import (
	"context"
	"math"
	"runtime"
	"time"
)

// Of the load that the other nodes are told.
const (
	loadInterval = 2 * time.Second
	loadStep     = 8 // of 255: smaller changes are not told

	// crowded is the load, of 255, from which a node is sent viewers and publishers
	// only if all others are as busy.
	crowded = 200
)

// tellLoad tells the other nodes how busy this one is, until ctx ends.
func (n *Node) tellLoad(ctx context.Context) error {
	ticker := time.NewTicker(loadInterval)
	defer ticker.Stop()
	last, used := time.Now(), cpuTime()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now, cpu := time.Now(), cpuTime()
		busy := share(cpu-used, now.Sub(last), runtime.GOMAXPROCS(0)-spareProcs)
		last, used = now, cpu
		if n.edge != nil {
			busy = max(busy, n.edge.Busy())
		}
		told, load := int(n.told.Load()), int(math.MaxUint8*busy)
		if load-told >= loadStep || told-load >= loadStep {
			n.told.Store(uint32(load))             //nolint:gosec // busy is 0 to 1
			n.backbone.gossip.SetLoad(uint8(load)) //nolint:gosec // as above
		}
	}
}

// share is how much of the processors was used, 0 to 1.
func share(cpu, wall time.Duration, processors int) float64 {
	if wall <= 0 || cpu <= 0 {
		return 0
	}
	return min(1, cpu.Seconds()/wall.Seconds()/float64(max(processors, 1)))
}
