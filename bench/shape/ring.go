package shape

import "time"

// packet is one on its way.
type packet struct {
	data []byte
	at   time.Duration // when it comes out; of one before the bottleneck: nothing
}

// ring is a queue of packets in a slice that grows.
type ring struct {
	slots      []packet
	head, size int
}

func (r *ring) first() *packet { return &r.slots[r.head] }

func (r *ring) push(p packet) {
	if r.size == len(r.slots) {
		grown := make([]packet, max(64, 2*r.size))
		n := copy(grown, r.slots[r.head:])
		copy(grown[n:], r.slots[:r.head])
		r.slots, r.head = grown, 0
	}
	r.slots[(r.head+r.size)%len(r.slots)] = p
	r.size++
}

func (r *ring) pop() packet {
	p := r.slots[r.head]
	r.slots[r.head] = packet{}
	r.head = (r.head + 1) % len(r.slots)
	r.size--
	return p
}
