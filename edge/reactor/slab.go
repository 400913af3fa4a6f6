package reactor

const (
	chunkBits = 8
	chunkSize = 1 << chunkBits
)

// slab holds the connections of a loop in chunks that never move, so that a
// *Conn stays valid and the garbage collector sees few objects. Places are
// reused, last freed first; each reuse has a new generation.
type slab struct {
	chunks []*[chunkSize]Conn
	free   []uint32
	used   int
}

// take gives a zero Conn with its place and a generation that its place never had.
func (s *slab) take() *Conn {
	if len(s.free) == 0 {
		s.grow()
	}
	place := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.used++
	c := s.at(place)
	*c = Conn{place: place, generation: nextGeneration(c.generation)}
	return c
}

// put frees a Conn: its token and its ID are stale from now on.
func (s *slab) put(c *Conn) {
	*c = Conn{place: c.place, generation: c.generation}
	s.free = append(s.free, c.place)
	s.used--
}

// find gives the Conn of a token, or nil if that one has gone.
func (s *slab) find(t token) *Conn {
	if int(t.place()>>chunkBits) >= len(s.chunks) {
		return nil
	}
	c := s.at(t.place())
	if c.generation != t.generation() || c.state == stateFree {
		return nil
	}
	return c
}

// each calls f for every Conn in use.
func (s *slab) each(f func(*Conn)) {
	for _, chunk := range s.chunks {
		for i := range chunk {
			if chunk[i].state != stateFree {
				f(&chunk[i])
			}
		}
	}
}

func (s *slab) at(place uint32) *Conn {
	return &s.chunks[place>>chunkBits][place&(chunkSize-1)]
}

func (s *slab) grow() {
	base := uint32(len(s.chunks)) << chunkBits
	s.chunks = append(s.chunks, new([chunkSize]Conn))
	for i := range uint32(chunkSize) {
		s.free = append(s.free, base+chunkSize-1-i)
	}
}

// nextGeneration skips 0, which is for listeners.
func nextGeneration(g uint32) uint32 {
	if g++; g == 0 {
		return 1
	}
	return g
}
