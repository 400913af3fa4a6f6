package state

// PlacedAt lists the streams that a node owns or is the standby of, in no order.
func (s *State) PlacedAt(node string) []PlacedStream {
	var list []PlacedStream
	for key, p := range s.placements {
		if node != "" && (p.Owner == node || p.Standby == node) {
			list = append(list, PlacedStream{Key: key, Placement: p})
		}
	}
	return list
}
