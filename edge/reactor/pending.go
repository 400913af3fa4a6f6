package reactor

import (
	"math"
	"net/netip"
	"sync"
)

// link leads to a Conn of the same slab, at half the size of a pointer: it is
// the place there plus one; 0 is none.
type link uint32

func (s *slab) follow(k link) *Conn {
	if k == 0 {
		return nil
	}
	return s.at(uint32(k) - 1)
}

// pendingList is a loop's unidentified connections, oldest first, linked
// through them.
type pendingList struct{ oldest, newest link }

func (p *pendingList) push(s *slab, c *Conn) {
	k := link(c.place + 1)
	c.pending, c.older = true, p.newest
	if last := s.follow(p.newest); last != nil {
		last.newer = k
	} else {
		p.oldest = k
	}
	p.newest = k
}

func (p *pendingList) remove(s *slab, c *Conn) {
	if older := s.follow(c.older); older != nil {
		older.newer = c.newer
	} else {
		p.oldest = c.newer
	}
	if newer := s.follow(c.newer); newer != nil {
		newer.older = c.older
	} else {
		p.newest = c.older
	}
	c.pending, c.older, c.newer = false, 0, 0
}

// addPending puts c, which was counted when it was accepted, on the list.
func (l *Loop) addPending(c *Conn) {
	l.pending.push(&l.slab, c)
	l.publishOldest()
}

func (l *Loop) identified(c *Conn) {
	if !c.pending {
		return
	}
	l.pending.remove(&l.slab, c)
	l.publishOldest()
	l.reactor.pending.Add(-1)
}

// publishOldest lets the other loops see who has the oldest connection.
func (l *Loop) publishOldest() {
	at := int64(math.MaxInt64)
	if c := l.slab.follow(l.pending.oldest); c != nil {
		at = int64(c.accepted)
	}
	l.oldest.Store(at)
}

// evict closes the oldest unidentified connection of the process, on whichever
// loop it lives.
func (l *Loop) evict() {
	victim := l
	for _, other := range l.reactor.loops {
		if other.oldest.Load() < victim.oldest.Load() {
			victim = other
		}
	}
	if victim == l || !victim.Post(victim.dropOldest) {
		l.dropOldest()
	}
}

func (l *Loop) dropOldest() {
	if c := l.slab.follow(l.pending.oldest); c != nil {
		l.count.evicted++
		l.condemn(c, ErrEvicted)
	}
}

// addressBook counts connections by address, for Config.MaxPerIP. It is used
// once a connection, from any loop.
type addressBook struct {
	limit int // 0: no limit, nothing is counted

	// Guarded by mu.
	mu    sync.Mutex
	conns map[netip.Prefix]int
}

func newAddressBook(limit int) *addressBook {
	return &addressBook{limit: limit, conns: make(map[netip.Prefix]int)}
}

// take counts a connection, unless its address has as many as it may.
func (a *addressBook) take(addr netip.Addr) bool {
	if a.limit == 0 {
		return true
	}
	p := network(addr)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conns[p] >= a.limit {
		return false
	}
	a.conns[p]++
	return true
}

func (a *addressBook) give(addr netip.Addr) {
	if a.limit == 0 {
		return
	}
	p := network(addr)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.conns[p]--; a.conns[p] <= 0 {
		delete(a.conns, p)
	}
}

// network is what one customer usually has: an IPv4 address, an IPv6 /64.
func network(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
