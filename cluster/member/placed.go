package member

import "tmms/cluster/state"

// PlacedAt lists the streams that a node owns or is the standby of, in no order.
func (v *View) PlacedAt(node string) []state.PlacedStream {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.state.PlacedAt(node)
}
